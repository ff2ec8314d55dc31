//! `bench vip`: requests through a VIP, against the server itself, iptables DNAT and HAProxy.
//!
//! Each arm's client is on a machine of its own; one nginx, on another, serves all, on ports
//! of their own. The arms take turns in short rounds, in another order each time, and every
//! arm is compared with the direct one of the same round: what the machine does besides hits
//! both alike. The figures are the medians of these ratios, with the quartiles.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::Table;
use muster_harness::{command, paths};

use super::arm::{Arm, Kind};
use super::record::{self, Record};
use super::site::Site;
use super::spread::Spread;
use crate::run;
use crate::ui::Ui;

const BENCH: &str = "vip";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

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
    ui.step("build the data plane and its benches", |step| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--package", "muster-dataplane", "--examples"]);
        cargo.current_dir(paths::repository());
        run::logged(step, "bench-build", cargo)
    })?;
    let mut lines = throughput(ui, options)?;
    lines.extend(connect_cost(ui)?);
    if json {
        let path = record::write(BENCH, &lines)?;
        ui.say(format_args!("written to {}", path.display()));
    }
    Ok(())
}

fn throughput(ui: Ui, options: &Options) -> Result<Vec<String>> {
    let site = Site::start("bench")?;
    serve(&site)?;
    let mut arms = Vec::new();
    for (kind, last) in Kind::ALL.into_iter().zip(2..) {
        let address = Ipv4Addr::new(10, 99, 0, last);
        let arm = Arm::start(kind, &site, address, SERVER)?;
        arm.await_answer()?;
        arms.push(arm);
    }
    // By case, then by arm, then by round.
    let mut rates = vec![vec![Vec::new(); arms.len()]; CASES.len()];
    for round in 0..options.rounds as usize {
        ui.step(&format!("round {} of {}", round + 1, options.rounds), |_| {
            for (case, (_, kept)) in CASES.iter().enumerate() {
                for turn in 0..arms.len() {
                    let index = (turn + round) % arms.len();
                    rates[case][index].push(arms[index].measure(options.seconds, *kept)?);
                }
            }
            Ok(())
        })?;
    }
    Ok(report(ui, &rates))
}

fn report(ui: Ui, rates: &[Vec<Vec<f64>>]) -> Vec<String> {
    let mut lines = Vec::new();
    for ((case, _), by_arm) in CASES.iter().zip(rates) {
        let mut table = Table::new();
        table.set_header([*case, "per second", "ratio to direct (quartiles)"]);
        for (kind, own) in Kind::ALL.iter().zip(by_arm) {
            let rate = Spread::of(own.iter().copied()).median;
            let ratio = Spread::of(own.iter().zip(&by_arm[0]).map(|(own, direct)| own / direct));
            table.add_row([kind.name().to_owned(), format!("{rate:.0}"), ratio.to_string()]);
            let compared = *kind != Kind::Direct;
            let record = Record {
                bench: BENCH,
                case,
                subject: kind.name(),
                value: rate,
                unit: "1/s",
                ratio_to: compared.then_some("direct"),
                ratio: compared.then_some(ratio.median),
            };
            lines.extend(serde_json::to_string(&record));
        }
        ui.say(table);
    }
    lines
}

/// What a VIP adds to `connect()`: measured by the data plane's own bench.
fn connect_cost(ui: Ui) -> Result<Vec<String>> {
    let mut cost = Command::new(paths::target().join("release/examples/connect_cost"));
    cost.arg("--json");
    let output = command::output(&mut cost)?;
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let mut table = Table::new();
    table.set_header(["connect()", "subject", "ns"]);
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let nanoseconds = value["value"].as_f64().unwrap_or(f64::NAN);
        table.add_row([text("case"), text("subject"), format!("{nanoseconds:.0}")]);
    }
    ui.say(table);
    Ok(lines)
}

/// Starts the one server.
fn serve(site: &Site) -> Result<()> {
    let netns = site.machine("server", SERVER)?;
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
