//! From a health change at the master to the last agent's map.
//!
//! `cargo run --release -p muster-agent --example health -- [--agents N] [--vips N]
//! [--backends N] [--rounds N]`
//!
//! All of it is the real thing, in one process: a master with its registry and its links, and
//! the agents, each with a data plane of its own. One more link, of an agent that runs nothing,
//! tells of a task's health; then it is watched when the VIP's entry changes in the pinned maps
//! of all agents. The figures are written as one JSON object a line. It needs root.
#![forbid(unsafe_code)]

mod agents;
mod measure;
mod settings;
mod source;
mod tasks;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use muster_master::Kernel;
use muster_master::core::Options;
use muster_store::Redb;
use tokio::net::TcpListener;

use crate::agents::Agents;
use crate::settings::Settings;
use crate::source::Source;
use crate::watch::Watch;

/// What went wrong, for the person at the terminal.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("launch") {
        // Before any thread exists: the helper forks.
        return muster_containerizer::launch::main();
    }
    let run = || -> Result<(), Failure> {
        let settings = Settings::read(std::env::args().skip(1))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(whole(&settings))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("health: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and removes what was made for it, also on Ctrl-C.
async fn whole(settings: &Settings) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let master = "127.0.0.1:5050".parse()?;
    let mut options = Options::new("bench".into(), "localhost".into(), master);
    options.allocator.allocation_interval = Duration::from_millis(100);
    let store = Redb::open(&directory.path().join("registry.redb"))?;
    let kernel = Kernel::start(options, Arc::new(store))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let link = listener.local_addr()?;
    tokio::spawn(muster_master::link::serve(kernel.clone(), listener));

    let agents = Agents::new(settings.agents, link, directory.path())?;
    let result = tokio::select! {
        result = measured(settings, &kernel, &agents, link) => result,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(Failure::from).and(Err("interrupted".into()))
        }
    };
    let removed = agents.remove().await;
    result.and(removed)
}

async fn measured(
    settings: &Settings,
    kernel: &Kernel,
    agents: &Agents,
    link: std::net::SocketAddr,
) -> Result<(), Failure> {
    // First alone, so that all tasks are its.
    let source = Source::start(kernel, link, settings).await?;
    agents.start().await?;
    let watch = Watch::open(agents, settings.vips).await?;
    measure::run(settings, &source, watch).await
}
