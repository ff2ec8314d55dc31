//! `bench health`: from a health change at the master to the last of a hundred agents' maps.
//!
//! It is all in one process and on one machine, which has to do the work of a hundred: what is
//! measured is more than what a cluster would take.

use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use muster_harness::{command, paths};
use serde::Deserialize;

use super::build;
use super::record::{self, Record};
use crate::ui::Ui;

const BENCH: &str = "health";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Agents, each with a data plane of its own
    #[arg(long, default_value_t = 100)]
    agents: u32,
    /// VIPs in the view
    #[arg(long, default_value_t = 10)]
    vips: u32,
    /// Backends of each VIP
    #[arg(long, default_value_t = 10)]
    backends: u32,
    /// Changes that are measured
    #[arg(long, default_value_t = 300)]
    rounds: u32,
}

/// A line of what the bench prints.
#[derive(Debug, Deserialize)]
struct Figure {
    case: String,
    value: f64,
    unit: String,
}

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    build(ui, "muster-agent")?;
    let case = format!("{} agents, {} VIPs", options.agents, options.vips);
    let figures = ui.step(&case, |_| measure(options))?;
    let mut table = Table::new();
    table.set_header(["from a health change to a map", "measured", ""]);
    for figure in &figures {
        table.add_row([&figure.case, &format!("{:.2}", figure.value), &figure.unit]);
    }
    ui.say(table);
    if json {
        let path = record::write(BENCH, &lines(&figures))?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Vec<Figure>> {
    let mut health = Command::new(paths::target().join("release/examples/health"));
    for (flag, number) in [
        ("--agents", options.agents),
        ("--vips", options.vips),
        ("--backends", options.backends),
        ("--rounds", options.rounds),
    ] {
        health.args([flag, &number.to_string()]);
    }
    let output = command::output(&mut health)?;
    let figures = output.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    figures.with_context(|| format!("the output of {health:?}"))
}

fn lines(figures: &[Figure]) -> Vec<String> {
    let record = |figure: &Figure| {
        serde_json::to_string(&Record {
            bench: BENCH,
            case: &figure.case,
            subject: "muster",
            value: figure.value,
            unit: &figure.unit,
            ratio_to: None,
            ratio: None,
        })
    };
    figures.iter().flat_map(record).collect()
}
