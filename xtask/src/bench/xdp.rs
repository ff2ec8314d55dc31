//! `bench xdp`: the forwarded path. What a packet takes in its programs, and requests that go through a machine
//! that forwards, against iptables DNAT and nftables.
//!
//! Of the second, the client, the server and each contestant are machines by themselves, on one wire. Each
//! contestant sends what comes for its own VIP on to the server, as from itself, and the answers back; the reference is
//! a machine that only routes, there and back. As with `bench vip`, they take turns in short rounds, and each is
//! compared with the mean of what the reference did just before and just after.

mod node;

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use muster_harness::{command, paths};
use serde::Deserialize;

use super::client::{Case, Client};
use super::comparison::{Comparison, RATE};
use super::site::Site;
use super::turns::{Turns, Whom};
use super::{build, record, server};
use crate::ui::Ui;
use node::{Kind, Node};

const BENCH: &str = "xdp";

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    turns: Turns,
    /// Rounds of what a packet takes, some 0.2 s each
    #[arg(long, default_value_t = 200)]
    packet_rounds: u32,
}

/// A line of what the data plane's own bench prints.
#[derive(Debug, Deserialize)]
struct Figure {
    case: String,
    subject: String,
    value: f64,
    low: f64,
    high: f64,
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
}

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    build(ui, "muster-dataplane")?;
    let mut lines = Vec::new();
    if options.turns.are_all() {
        lines.extend(packets(ui, options)?);
    }
    lines.extend(throughput(ui, &options.turns)?);
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

/// What a packet takes: measured by the data plane's own bench.
fn packets(ui: Ui, options: &Options) -> Result<Vec<String>> {
    let mut cost = Command::new(paths::target().join("release/examples/xdp_cost"));
    cost.args(["--json", "--rounds", &options.packet_rounds.to_string()]);
    let output = ui.step("what a packet takes", |_| Ok(command::output(&mut cost)?))?;
    let mut table = Table::new();
    table.set_header(["packet", "program", "ns (quartiles)", "ratio to transmit (quartiles)"]);
    for line in output.lines() {
        let figure: Figure = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let Figure { case, subject, value, low, high, ratio, ratio_low, ratio_high } = figure;
        let ratio = match (ratio, ratio_low, ratio_high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} ({low:.2} to {high:.2})"),
            _ => String::new(),
        };
        table.add_row([case, subject, format!("{value:.0} ({low:.0} to {high:.0})"), ratio]);
    }
    ui.say(table);
    Ok(output.lines().map(str::to_owned).collect())
}

fn throughput(ui: Ui, turns: &Turns) -> Result<Vec<String>> {
    let site = Site::start("bench")?;
    let netns = server::machine(&site)?;
    server::serve(&site, &netns, Kind::all().map(Kind::port))?;
    let client = node::client(&site, &netns)?;
    let client = Client { netns: &client, cgroup: None };
    let compared = turns.wanted(Kind::COMPARED, Kind::title)?;
    let mut nodes = Vec::new();
    for (kind, last) in [Kind::Routed].iter().chain(&compared).zip(11..) {
        let address = Ipv4Addr::new(10, 99, 0, last);
        let node = Node::start(*kind, &site, address, [client.netns, &netns])?;
        client.await_answer(&[node.to])?;
        nodes.push(node);
    }
    let (reference, nodes) = nodes.split_first().context("there are nodes")?;
    let measured = turns.take(ui, &[Case::Kept, Case::New], nodes.len(), |whom, case, _| {
        let node = match whom {
            Whom::Reference => reference,
            Whom::Contestant(index) => &nodes[index],
        };
        client.measure(&site, turns.seconds, case, node.to).map(Some)
    })?;
    let subjects: Vec<String> = compared.into_iter().map(Kind::title).collect();
    let mut lines = Vec::new();
    for (case, by_node) in &measured {
        let case = format!("forwarded: {}", case.name());
        let comparison =
            Comparison { bench: BENCH, case: &case, reference: "routed", parts: &[RATE] };
        lines.extend(comparison.report(ui, subjects.iter().map(String::as_str).zip(by_node)));
    }
    Ok(lines)
}
