//! `cargo xtask bench NAME`: us and our peers on the same machine, in turns.

mod allocator;
mod arm;
mod client;
mod comparison;
mod health;
mod holder;
mod launch;
mod record;
mod rules;
mod sample;
mod server;
mod site;
mod spread;
mod turns;
mod unpack;
mod vip;
mod xdp;

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};
use muster_harness::paths;

use crate::run;
use crate::setup::{self, Purpose};
use crate::ui::Ui;

/// Measure Muster against its peers
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    bench: Bench,
    /// Write one JSON object a line to target/bench/NAME.jsonl
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The allocator on Mesos' own cases, beside figures that are stated for Mesos
    Allocator(allocator::Options),
    /// From a health change at the master to the last of 100 agents' maps
    Health(health::Options),
    /// A container from its start to its end, against crun, runc and Docker
    Launch(launch::Options),
    /// An image of 500 MB from its layout to a root filesystem, against umoci
    Unpack(unpack::Options),
    /// A VIP against the server itself, iptables DNAT and HAProxy; and what it adds to `connect()`
    Vip(vip::Options),
    /// What forwards packets to VIPs: ns a packet, and requests against iptables and nftables
    Xdp(xdp::Options),
}

/// What benches between machines need.
const NETWORK: [Purpose; 4] = [Purpose::Build, Purpose::Cluster, Purpose::Agent, Purpose::Bench];

/// Builds the examples of `package`, which are what is measured.
fn build(ui: Ui, package: &str) -> Result<()> {
    ui.step("build the bench", |step| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--package", package, "--examples"]);
        cargo.current_dir(paths::repository());
        run::logged(step, "bench-build", cargo)
    })
}

/// Runs a bench.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(false);
    match &options.bench {
        // It needs nothing but cargo.
        Bench::Allocator(allocator) => allocator::run(ui, allocator, options.json),
        Bench::Health(health) => {
            setup::ensure(ui, &[Purpose::Build, Purpose::Cluster, Purpose::Agent])?;
            health::run(ui, health, options.json)
        }
        Bench::Launch(launch) => {
            setup::ensure(ui, &[Purpose::Build, Purpose::Cluster, Purpose::Launch])?;
            launch::run(ui, launch, options.json)
        }
        Bench::Unpack(unpack) => {
            setup::ensure(ui, &[Purpose::Build, Purpose::Cluster, Purpose::Launch])?;
            unpack::run(ui, unpack, options.json)
        }
        Bench::Vip(vip) => {
            setup::ensure(ui, &NETWORK)?;
            vip::run(ui, vip, options.json)
        }
        Bench::Xdp(xdp) => {
            setup::ensure(ui, &NETWORK)?;
            xdp::run(ui, xdp, options.json)
        }
    }
}
