//! `cargo xtask miri`: the unit tests of what the kernel runs, by an interpreter that notices
//! undefined behaviour (<https://github.com/rust-lang/miri>).

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use muster_harness::paths;

use crate::run;

/// Cases of each property: an interpreter takes a hundred times as long.
const CASES: u32 = 4;

/// Run the packet library's tests by Miri, of a nightly that has it
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What the test harness is given, such as a part of a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs them, and fails with the first that does something undefined.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = toolchain().context(
        "no nightly of rustup's has Miri; `rustup toolchain install nightly --profile minimal \
         --component miri --component rust-src` gives one",
    )?;
    let mut cargo = Command::new("rustup");
    cargo.args(["run", &toolchain, "cargo", "miri", "test", "--package", "muster-packet", "--lib"]);
    cargo.arg("--target-dir").arg(paths::target().join("miri")).arg("--").args(&options.arguments);
    cargo.env("PROPTEST_CASES", CASES.to_string());
    // Properties look for earlier failures in a file.
    cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").current_dir(paths::repository());
    run::shown(cargo)
}

/// The name of the newest nightly with Miri and the library's source, which it interprets as well.
fn toolchain() -> Option<String> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let toolchains = home.or_else(|| env::home_dir().map(|home| home.join(".rustup")))?;
    let entries = fs::read_dir(toolchains.join("toolchains")).ok()?;
    let complete = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| {
        let source = path.join("lib/rustlib/src/rust/library/core/Cargo.toml");
        path.join("bin/cargo-miri").exists() && source.exists()
    });
    let names = complete.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    names.filter(|name| name.starts_with("nightly")).max()
}
