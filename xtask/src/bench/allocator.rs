//! `bench allocator`: the allocator on Mesos' own cases, and on larger ones.
//!
//! Mesos itself is not built here. Its figures are stated: measured elsewhere, on a machine of
//! the same kind; ratios to them say how many times, not how many percent.

mod figure;
mod stated;
mod tables;

use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use muster_harness::{command, paths};

use self::figure::Figure;
use self::stated::STATED;
use super::record::{self, Record};
use crate::run;
use crate::ui::Ui;

const BENCH: &str = "allocator";
const MESOS: &str = "Mesos (stated)";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only what takes a minute: one size of each case
    #[arg(long)]
    quick: bool,
    /// Only this case
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// This many agents and frameworks, instead of Mesos' grid of them
    #[arg(long, value_name = "AGENTSxFRAMEWORKS")]
    size: Option<String>,
}

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    ui.step("build the allocator and its cases", |step| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--package", "muster-allocator", "--example"]);
        cargo.arg("allocator_bench").current_dir(paths::repository());
        run::logged(step, "bench-build", cargo)
    })?;
    let mut figures = Vec::new();
    for case in cases(options)? {
        // A process for each: what one leaves in memory is no matter to the next.
        let own = ui.step(&case, |_| measure(options, &case))?;
        ui.say(tables::of_case(&case, &own));
        figures.extend(own);
    }
    if let Some(table) = tables::against_mesos(&figures) {
        ui.say(table);
    }
    if json {
        let path = record::write(BENCH, &lines(&figures))?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

fn program() -> Command {
    Command::new(paths::target().join("release/examples/allocator_bench"))
}

/// The names of the cases to measure.
fn cases(options: &Options) -> Result<Vec<String>> {
    if let Some(case) = &options.case {
        return Ok(vec![case.clone()]);
    }
    let names = command::output(program().arg("--list"))?;
    Ok(names.lines().map(str::to_owned).collect())
}

fn measure(options: &Options, case: &str) -> Result<Vec<Figure>> {
    let mut program = program();
    program.args(["--case", case]);
    if options.quick {
        program.arg("--quick");
    }
    if let Some(size) = &options.size {
        program.args(["--size", size]);
    }
    let output = command::output(&mut program)?;
    let figures = output.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    figures.with_context(|| format!("the output of {program:?}"))
}

fn lines(figures: &[Figure]) -> Vec<String> {
    let mut lines = Vec::new();
    for figure in figures {
        let stated = STATED.iter().find(|stated| stated.case == figure.case);
        let record = Record {
            bench: BENCH,
            case: &figure.case,
            subject: "muster",
            value: figure.value,
            unit: &figure.unit,
            ratio_to: stated.map(|_| MESOS),
            ratio: stated.map(|stated| figure.value / stated.mesos),
        };
        lines.extend(serde_json::to_string(&record));
        let Some(stated) = stated else { continue };
        let theirs =
            Record { subject: MESOS, value: stated.mesos, ratio_to: None, ratio: None, ..record };
        lines.extend(serde_json::to_string(&theirs));
    }
    lines
}
