//! `bench vip`: requests through a VIP, against the server itself, NFQUEUE, iptables
//! DNAT, nftables and HAProxy.
//!
//! Each arm's client is on a machine of its own; one nginx, on another, serves all, on ports
//! of their own. The arms take turns in short rounds, in another order each time; the direct
//! one is measured before and after each other, which is compared with the mean of the two:
//! what the machine does besides hits all three alike. The figures are the medians of these
//! ratios, with the quartiles.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use muster_harness::{command, paths};

use super::arm::{Arm, Kind, SERVERS};
use super::build;
use super::record::{self, Record};
use super::sample::Sample;
use super::site::Site;
use super::spread::Spread;
use crate::ui::Ui;

const BENCH: &str = "vip";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Rounds: in each, every arm is measured once in both ways
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1)]
    seconds: u32,
}

/// What is measured: its name, and whether connections are kept.
const CASES: [(&str, bool); 2] =
    [("requests on kept connections", true), ("new connections", false)];

pub(super) fn run(ui: Ui, options: &Options, json: bool) -> Result<()> {
    build(ui, "muster-dataplane")?;
    let mut lines = throughput(ui, options)?;
    lines.extend(connect_cost(ui)?);
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

/// One comparison with the direct arm.
#[derive(Clone, Copy)]
struct Pair {
    own: Sample,
    direct: [Sample; 2],
}

/// A part of a sample: its name, its unit, and where it is.
type Part = (&'static str, &'static str, fn(Sample) -> f64);

const PARTS: [Part; 2] = [
    ("per second", "1/s", |sample| sample.rate),
    ("per second of processor time", "1/s of processor time", |sample| sample.per_processor),
];

fn throughput(ui: Ui, options: &Options) -> Result<Vec<String>> {
    let site = Site::start("bench")?;
    serve(&site)?;
    let mut arms = Vec::new();
    for (kind, last) in Kind::ALL.into_iter().zip(2..) {
        let arm = Arm::start(kind, &site, Ipv4Addr::new(10, 99, 0, last))?;
        arm.await_answer()?;
        arms.push(arm);
    }
    let (direct, compared) = arms.split_first().context("there are arms")?;
    // By case, then by arm, then by round.
    let mut pairs = vec![vec![Vec::new(); compared.len()]; CASES.len()];
    for round in 0..options.rounds as usize {
        ui.step(&format!("round {} of {}", round + 1, options.rounds), |_| {
            for (case, (_, kept)) in CASES.iter().enumerate() {
                let measure = |arm: &Arm, turn| arm.measure(&site, options.seconds, *kept, turn);
                let mut before = measure(direct, 0)?;
                for turn in 0..compared.len() {
                    let index = (turn + round) % compared.len();
                    let own = measure(&compared[index], turn)?;
                    let after = measure(direct, turn + 1)?;
                    pairs[case][index].push(Pair { own, direct: [before, after] });
                    before = after;
                }
            }
            Ok(())
        })?;
    }
    Ok(report(ui, &pairs))
}

fn report(ui: Ui, pairs: &[Vec<Vec<Pair>>]) -> Vec<String> {
    let mut lines = Vec::new();
    for ((case, _), by_arm) in CASES.iter().zip(pairs) {
        let mut table = Table::new();
        let [rate, processor] = PARTS.map(|(name, ..)| name);
        let ratio = "ratio to direct (quartiles)";
        table.set_header([*case, rate, ratio, processor, ratio]);
        let direct = by_arm.iter().flatten().flat_map(|pair| pair.direct);
        let direct = PARTS.map(|(_, _, part)| Spread::of(direct.clone().map(part)).median);
        let [rate, processor] = direct.map(|median| format!("{median:.0}"));
        table.add_row([Kind::Direct.title(), &rate, "", &processor, ""]);
        for ((_, unit, _), value) in PARTS.iter().zip(direct) {
            lines.extend(record(case, Kind::Direct, value, unit, None));
        }
        for (kind, own) in Kind::COMPARED.into_iter().zip(by_arm) {
            let mut row = vec![kind.title().to_owned()];
            for (_, unit, part) in PARTS {
                let value = Spread::of(own.iter().map(|pair| part(pair.own))).median;
                let ratio = Spread::of(own.iter().map(|pair| pair.own.ratio(pair.direct, part)));
                row.extend([format!("{value:.0}"), ratio.to_string()]);
                lines.extend(record(case, kind, value, unit, Some(ratio.median)));
            }
            table.add_row(row);
        }
        ui.say(table);
    }
    lines
}

fn record(case: &str, kind: Kind, value: f64, unit: &str, ratio: Option<f64>) -> Option<String> {
    let ratio_to = ratio.map(|_| Kind::Direct.name());
    let record = Record { bench: BENCH, case, subject: kind.title(), value, unit, ratio_to, ratio };
    serde_json::to_string(&record).ok()
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

/// Starts the one server.
fn serve(site: &Site) -> Result<()> {
    let [first, others @ ..] = SERVERS;
    let netns = site.machine("server", first)?;
    for address in others {
        site.address(&netns, address)?;
    }
    let ports: Vec<String> = Kind::ALL
        .iter()
        .flat_map(|kind| kind.ports())
        .map(|port| format!("    listen {port} backlog=8192;\n"))
        .collect();
    let ports = ports.concat();
    let page = site.write("index.html", &"x".repeat(612))?;
    let root = page.parent().context("the page is in a directory")?.display().to_string();
    // As root: nobody else may look into the site's directory.
    let configuration = site.write(
        "nginx.conf",
        &format!(
            "user root;\nworker_processes 1;\ndaemon off;\nerror_log stderr crit;\n\
             pid {root}/nginx.pid;\nevents {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n  \
             server {{\n{ports}    root {root};\n  }}\n}}\n"
        ),
    )?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&configuration);
    site.start_program(nginx, &netns)?;
    Ok(())
}
