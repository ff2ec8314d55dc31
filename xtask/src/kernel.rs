//! `cargo xtask test --kernel VERSION`: what touches the kernel, tested under another one, in a
//! machine made for it. Its cgroups are one tree of v2, as on most machines that are not this old
//! or this mixed.

mod apt;
mod debian;
mod disk;
mod guest;
mod modules;
mod suites;

use std::time::Instant;

use anyhow::{Result, ensure};
use muster_harness::paths;

use crate::setup::{self, Purpose};
use crate::ui::Ui;
use guest::{Guest, Outcome};

/// Runs the kernel's tests, those whose names contain one of `filters` if there are any, under
/// the newest of Debian's kernels of `version`, such as `6.1`.
pub(crate) fn run(ui: Ui, version: &str, filters: &[String]) -> Result<()> {
    setup::ensure(ui, &[Purpose::Build, Purpose::Test, Purpose::Kernel])?;
    let cache = paths::target().join("kernels");
    let kernel =
        ui.step(&format!("find a kernel {version}"), |step| debian::kernel(step, version, &cache))?;
    let suites = ui.step("build the tests", |step| suites::build(step, filters))?;
    let tests = suites::tests(&suites, filters)?;
    ensure!(!tests.is_empty(), "no test's name contains {}", filters.join(" or "));
    let disk = ui.step("make the machine's disk", |_| disk::make(&kernel, &suites, &tests))?;
    let begun = Instant::now();
    ui.say(format_args!("  {} tests under {}", tests.len(), kernel.release));
    let mut outcomes = Vec::new();
    let mut guest = Guest::start(&kernel, &disk)?;
    while let Some(outcome) = guest.next()? {
        outcome.show(ui);
        outcomes.push(outcome);
    }
    let seconds = begun.elapsed().as_secs();
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| outcome.failed()).map(Outcome::name).collect();
    let skipped = outcomes.iter().filter(|outcome| outcome.skipped()).count();
    let passed = outcomes.len() - failed.len() - skipped;
    ui.say(format_args!(
        "{}: {passed} passed, {} failed, {skipped} skipped ({seconds} s)",
        kernel.release,
        failed.len(),
    ));
    ensure!(failed.is_empty(), "failed under {}: {}", kernel.release, failed.join(", "));
    ensure!(
        outcomes.len() == tests.len(),
        "the machine ended after {} of {} tests; the last it said: {}",
        outcomes.len(),
        tests.len(),
        disk.console_tail()
    );
    Ok(())
}
