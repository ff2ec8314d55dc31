//! `bench vip`: requests and datagrams through a VIP, against the server itself, NFQUEUE, iptables
//! DNAT, nftables and HAProxy.
//!
//! Each arm's client is on a machine of its own; one nginx, on another, serves all, on ports
//! of their own, and one process beside it answers datagrams. The arms take turns in short rounds, in another order each time; the direct
//! one is measured before and after each other, which is compared with the mean of the two:
//! what the machine does besides hits all three alike. The figures are the medians of these
//! ratios, with the quartiles.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use muster_harness::{command, paths};

use super::arm::{Arm, Kind};
use super::client::Case;
use super::comparison::{Comparison, PROCESSOR, RATE};
use super::site::Site;
use super::turns::{Turns, Whom};
use super::{build, record, server};
use crate::ui::Ui;

const BENCH: &str = "vip";

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    turns: Turns,
}

const CASES: [Case; 4] = [Case::Kept, Case::New, Case::Connected, Case::Unconnected];

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    build(ui, "muster-dataplane")?;
    let mut lines = throughput(ui, &options.turns)?;
    if options.turns.are_all() {
        lines.extend(connect_cost(ui)?);
    }
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

fn throughput(ui: Ui, turns: &Turns) -> Result<Vec<String>> {
    let site = Site::start("bench")?;
    let netns = server::machine(&site)?;
    server::serve(&site, &netns, Kind::all().flat_map(Kind::ports))?;
    server::answer(&site, &netns, Kind::all().map(|kind| *kind.ports().start()))?;
    let compared = turns.wanted(Kind::COMPARED, Kind::title)?;
    let mut arms = Vec::new();
    for (kind, last) in [Kind::Direct].iter().chain(&compared).zip(2..) {
        let arm = Arm::start(*kind, &site, Ipv4Addr::new(10, 99, 0, last))?;
        arm.await_answer()?;
        arms.push(arm);
    }
    let (direct, arms) = arms.split_first().context("there are arms")?;
    let measured = turns.take(ui, &CASES, arms.len(), |whom, case, turn| {
        let arm = match whom {
            Whom::Reference => direct,
            Whom::Contestant(index) => &arms[index],
        };
        let does = arm.kind.does(case);
        does.then(|| arm.measure(&site, turns.seconds, case, turn)).transpose()
    })?;
    let subjects: Vec<String> = compared.into_iter().map(Kind::title).collect();
    let mut lines = Vec::new();
    for (case, by_arm) in &measured {
        let comparison = Comparison {
            bench: BENCH,
            case: case.name(),
            reference: "direct",
            parts: &[RATE, PROCESSOR],
        };
        lines.extend(comparison.report(ui, subjects.iter().map(String::as_str).zip(by_arm)));
    }
    Ok(lines)
}

/// What a VIP adds to `connect()` and to whole connections: measured by the data plane's own
/// bench.
fn connect_cost(ui: Ui) -> Result<Vec<String>> {
    let mut cost = Command::new(paths::target().join("release/examples/connect_cost"));
    cost.arg("--json");
    let output = command::output(&mut cost)?;
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let mut table = Table::new();
    table.set_header(["what a VIP adds to, or takes", "ns (quartiles)", "ratio to direct"]);
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let took = value["value"].as_f64().unwrap_or(f64::NAN);
        table.add_row([
            value["case"].as_str().unwrap_or_default().to_owned(),
            match (value["low"].as_f64(), value["high"].as_f64()) {
                (Some(low), Some(high)) => format!("{took:.0} ({low:.0} to {high:.0})"),
                _ => format!("{took:.0}"),
            },
            value["ratio"].as_f64().map_or_else(String::new, |ratio| format!("{ratio:.3}")),
        ]);
    }
    ui.say(table);
    Ok(lines)
}
