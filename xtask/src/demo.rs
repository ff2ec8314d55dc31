//! `cargo xtask demo`: a data centre at work, step by step, each step checked.

mod balance;
mod deploy;
mod inspect;
mod pretty;
mod stage;
mod stay;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use muster_harness::image::Recipe;
use muster_harness::snapshot::Snapshot;
use muster_harness::{Cluster, Error, eventually, interrupt, paths, ready};
use nix::unistd::geteuid;
use serde_json::json;

use crate::setup::{self, Purpose};
use crate::ui::Ui;
use crate::{binary, image};
use stage::{Shown, Stage};

/// How long everything may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// Bring up a data centre in network namespaces, deploy nginx behind a VIP, break it, look
/// inside; stay up until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Tear down after the last step instead of staying up
    #[arg(long)]
    once: bool,
    /// How many agents
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    agents: u8,
    /// Print one JSON object a step, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// Build the binary with optimisation
    #[arg(long)]
    release: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !geteuid().is_root() {
        bail!(
            "the demo makes network namespaces and cgroups, so it must run as root:\n\n    \
             sudo env \"PATH=$PATH\" cargo xtask demo\n"
        );
    }
    interrupt::install()?;
    let mut stage = Stage::new(Ui::new(options.json), if options.once { 7 } else { 8 });
    let mut cluster = None;
    let mut played = play(&mut stage, options, &mut cluster);
    let interrupted = matches!(&played, Err(error) if is_interrupt(error));
    if let Some(cluster) = &cluster
        && played.is_err()
        && !interrupted
    {
        eprintln!("{}", cluster.report());
        match cluster.keep_logs() {
            Ok(kept) => eprintln!("all logs: {}", kept.display()),
            Err(error) => eprintln!("the logs could not be kept: {error}"),
        }
    }
    // While it stays up, a signal is how it ends.
    if interrupted && stage.is_last() {
        played = Ok(());
    }
    let removed = cluster.map_or(Ok(()), |cluster| remove(&stage, cluster));
    stage.end(played.is_ok() && removed.is_ok());
    played.and(removed)
}

/// All steps.
fn play(stage: &mut Stage, options: &Options, slot: &mut Option<Cluster>) -> Result<()> {
    let ui = stage.ui();
    let binary = prepare(stage, options)?;
    let machines =
        muster_harness::Options::named("demo").agents(usize::from(options.agents)).binary(binary);
    let cluster = slot.insert(Cluster::machines(&machines)?);
    stage.play("machines, a master and agents", || {
        ui.step("start master and agents", |_| Ok(cluster.start_all()?))?;
        deploy::describe_machines(cluster)
    })?;
    stage.play("an image with nginx in it", || {
        image::ensure(ui, Recipe::Nginx, &paths::images())?;
        deploy::describe_image()
    })?;
    stage.play("an application of three instances", || deploy::application(ui, cluster))?;
    stage.play("requests to its virtual address, also while an instance dies", || {
        balance::requests(ui, cluster)
    })?;
    stage.play("a look inside", || inspect::everything(cluster))?;
    if options.once { Ok(()) } else { stay::until_interrupted(stage, cluster) }
}

/// Steps 1 and 2.
fn prepare(stage: &mut Stage, options: &Options) -> Result<PathBuf> {
    let ui = stage.ui();
    stage.play("set up the machine", || {
        let installed = setup::ensure(ui, &[Purpose::Build, Purpose::Cluster])?;
        let line = if installed { "installed what was missing" } else { "nothing is missing" };
        Ok(Shown::new(json!({ "installed": installed })).line(line))
    })?;
    let mut binary = PathBuf::new();
    stage.play("build the eBPF object and the binary", || {
        binary = binary::build(ui, options.release)?;
        let bytes = std::fs::metadata(&binary)?.len();
        let path = binary.display().to_string();
        let line = format!("{path}, {} MB, with the eBPF object in it", bytes / 1_000_000);
        Ok(Shown::new(json!({ "binary": path, "bytes": bytes })).line(line))
    })?;
    Ok(binary)
}

/// Takes everything down and checks that nothing is left.
fn remove(stage: &Stage, cluster: Cluster) -> Result<()> {
    let id = cluster.id().to_owned();
    let ui = stage.ui();
    let left = ui.step("take everything down", |_| Ok(cluster.stop()?))?;
    if !left.is_empty() {
        bail!("agents left behind after their cleanup (now swept): {left:#?}");
    }
    eventually("everything to be gone", GONE_WITHIN, || {
        let left = Snapshot::take()?.of_cluster(&id);
        ready(left.is_empty(), || format!("{left:?}"))
    })
    .or_else(|error| if matches!(error, Error::Interrupted) { Ok(()) } else { Err(error) })?;
    ui.say("   nothing is left behind");
    Ok(())
}

fn is_interrupt(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Interrupted))
}
