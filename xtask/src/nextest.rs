//! `cargo xtask test`: everything that is tested, after setting up what tests need.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use muster_harness::image::Recipe;
use muster_harness::paths;

use crate::setup::{self, Purpose};
use crate::ui::Ui;
use crate::{binary, image, kernel, run};

/// Pass all tests: unit, property, packet and scenario tests, and the examples in the docs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only what touches the kernel, under Debian's newest kernel of this version, such as 6.1,
    /// in a machine of QEMU with a pure cgroup v2 tree; what follows are parts of tests' names
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// More arguments for nextest, such as a filter; then examples are left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// Runs nextest over the workspace, then the documentation's examples.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(false);
    if let Some(version) = &options.kernel {
        return kernel::run(ui, version, &options.more);
    }
    setup::ensure(ui, &[Purpose::Build, Purpose::Cluster, Purpose::Test])?;
    let binary = binary::build(ui, false)?;
    for recipe in Recipe::ALL {
        image::ensure(ui, recipe, &paths::images())?;
    }
    let mut nextest = Command::new("cargo");
    nextest.args(["nextest", "run", "--workspace"]).args(&options.more);
    nextest.env("MUSTER_BIN", &binary).current_dir(paths::repository());
    run::shown(nextest)?;
    if options.more.is_empty() {
        let mut examples = Command::new("cargo");
        examples.args(["test", "--quiet", "--workspace", "--doc"]);
        examples.current_dir(paths::repository());
        run::shown(examples)?;
    }
    Ok(())
}
