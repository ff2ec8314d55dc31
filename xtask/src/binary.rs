//! Building the `muster` binary, and running it in place.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use muster_harness::paths;

use crate::run;
use crate::setup::{self, Purpose};
use crate::ui::Ui;

/// How an agent is told where images are.
const IMAGE_DIR: &str = "MUSTER_IMAGE_DIR";

/// Builds the binary, with the eBPF object in it, and returns where it is.
pub(crate) fn build(ui: Ui, release: bool) -> Result<PathBuf> {
    ui.step("build the eBPF object and the binary", |step| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--package", "muster"]).current_dir(paths::repository());
        if release {
            cargo.arg("--release");
        }
        run::logged(step, "build", cargo)
    })?;
    Ok(paths::target().join(if release { "release" } else { "debug" }).join("muster"))
}

/// Becomes `muster ROLE FLAGS…`; only returns when that fails.
pub(crate) fn become_muster(role: &str, flags: &[String]) -> Result<()> {
    let ui = Ui::new(false);
    let purposes: &[Purpose] =
        if role == "agent" { &[Purpose::Build, Purpose::Agent] } else { &[Purpose::Build] };
    setup::ensure(ui, purposes)?;
    let binary = build(ui, false)?;
    let mut command = Command::new(&binary);
    command.arg(role).args(flags);
    if std::env::var_os(IMAGE_DIR).is_none() {
        // Where `cargo xtask image` puts them; a flag still wins.
        command.env(IMAGE_DIR, paths::images());
    }
    let error = command.exec();
    Err(error).with_context(|| format!("exec {}", binary.display()))
}
