//! `cargo xtask demo`: a data centre at work, step by step, each step checked.

mod balance;
mod deploy;
mod inspect;
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
    let binary = prepare(&mut stage, options)?;
    let mut cluster = machines(&mut stage, options, binary)?;
    let mut played = play(&mut stage, &mut cluster);
    if played.is_ok() && !options.once {
        played = stay::until_interrupted(&mut stage, &cluster);
    }
    let interrupted = matches!(&played, Err(error) if is_interrupt(error));
    if played.is_err() && !interrupted {
        eprintln!("{}", cluster.report());
        match cluster.keep_logs() {
            Ok(kept) => eprintln!("all logs: {}", kept.display()),
            Err(error) => eprintln!("the logs could not be kept: {error}"),
        }
    }
    let removed = remove(&mut stage, cluster);
    if interrupted { removed } else { played.and(removed) }
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

/// Steps 3 and 4.
fn machines(stage: &mut Stage, options: &Options, binary: PathBuf) -> Result<Cluster> {
    let ui = stage.ui();
    let agents = usize::from(options.agents);
    let mut built = None;
    stage.play("machines, a master and agents", || {
        let options = muster_harness::Options::named("demo").agents(agents).binary(binary);
        let cluster = ui.step("start master and agents", |_| Ok(Cluster::start(&options)?))?;
        let shown = deploy::describe_machines(&cluster)?;
        built = Some(cluster);
        Ok(shown)
    })?;
    stage.play("an image with nginx in it", || {
        image::ensure(ui, Recipe::Nginx, &paths::images())?;
        deploy::describe_image()
    })?;
    built.ok_or_else(|| Error::Interrupted.into())
}

/// Steps 5 to 7.
fn play(stage: &mut Stage, cluster: &mut Cluster) -> Result<()> {
    let ui = stage.ui();
    stage.play("an application of three instances", || deploy::application(ui, cluster))?;
    stage.play("requests to its virtual address, also while an instance dies", || {
        balance::requests(ui, cluster)
    })?;
    stage.play("a look inside", || inspect::everything(cluster))
}

/// Takes everything down and checks that nothing is left.
fn remove(stage: &mut Stage, cluster: Cluster) -> Result<()> {
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
    stage.end(&Shown::new(json!({ "left": [] })).line("nothing is left behind"));
    Ok(())
}

fn is_interrupt(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Interrupted))
}
