//! `cargo xtask lint`: what CI checks before it runs the tests.

mod habits;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use muster_harness::paths;

use crate::run;
use crate::setup::{self, Purpose};
use crate::ui::Ui;

/// The eBPF object's crate: a workspace of its own, for another compiler.
const PROGRAMS: &str = "ebpf/programs/Cargo.toml";

/// Runs every check, also after one has failed.
pub(crate) fn run() -> Result<()> {
    let ui = Ui::new(false);
    setup::ensure(ui, &[Purpose::Build, Purpose::Lint])?;
    let root = paths::repository();
    let mut failed = Vec::new();
    let mut check = |what: &str, work: &dyn Fn() -> Result<()>| {
        if let Err(error) = ui.step(what, |_| work()) {
            eprintln!("{error:#}\n");
            failed.push(what.to_owned());
        }
    };
    check("the habits of the house", &|| habits::check(&root));
    check("formatting", &|| cargo(&root, &["fmt", "--all", "--check"]));
    check("formatting of the eBPF programs", &|| {
        cargo(&root, &["fmt", "--manifest-path", PROGRAMS, "--check"])
    });
    check("clippy", &|| {
        cargo(&root, &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
    });
    check("clippy on the eBPF programs", &|| programs(&root));
    check("documentation", &|| documentation(&root));
    check("dependencies", &|| deny(&root, "Cargo.toml", &["--deny", "unmatched-skip"]));
    check("dependencies of the eBPF programs", &|| deny(&root, PROGRAMS, &[]));
    if failed.is_empty() {
        return Ok(());
    }
    bail!("lint found faults in: {}", failed.join(", "))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(root);
    run::shown(cargo)
}

/// With the compiler that builds them: clippy must read the same library.
fn programs(root: &Path) -> Result<()> {
    let mut clippy = setup::programs_cargo()?;
    clippy.args(["clippy", "--quiet", "--release", "--target", "bpfel-unknown-none"]);
    clippy.args(["-Zbuild-std=core", "--manifest-path", PROGRAMS, "--target-dir"]);
    clippy.arg(paths::target().join("programs-lint")).args(["--", "-D", "warnings"]);
    clippy.current_dir(root);
    run::shown(clippy)
}

fn documentation(root: &Path) -> Result<()> {
    let mut doc = Command::new("cargo");
    doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).current_dir(root);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    run::shown(doc)
}

/// Bans, licences and sources. Once everything in the lock file is fetched, for every platform,
/// this needs no network.
fn deny(root: &Path, manifest: &str, strict: &[&str]) -> Result<()> {
    cargo(root, &["fetch", "--quiet", "--locked", "--manifest-path", manifest])?;
    let mut arguments = vec!["deny", "--offline", "--log-level", "error", "--config", "deny.toml"];
    arguments.extend(["--manifest-path", manifest, "check", "--hide-inclusion-graph"]);
    arguments.extend(strict);
    arguments.extend(["bans", "licenses", "sources"]);
    cargo(root, &arguments)
}
