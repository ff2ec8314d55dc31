//! What it costs to run `/bin/true` as a task through an agent: `cargo xtask bench launch` runs
//! this in turns with others.
//!
//! `task_cost MUSTER IMAGE_DIR WORK_DIR CGROUPS_ROOT` starts `MUSTER agent`, whose master it is
//! itself: as a real one it sends `Launch`, acknowledges each status and pings. A task is over
//! when its `TASK_FINISHED` is acknowledged, the agent has dealt with that, and nothing is left
//! of its container but the sandbox. In `WORK_DIR` there are `run`, for what is known of
//! containers, and `bpf`, a bpffs.
//!
//! Requests and answers are those of the containerizer's `launch_cost`.
#![forbid(unsafe_code)]

mod agent;
mod master;
#[path = "../../../containerizer/examples/launch_cost/memory.rs"]
mod memory;
#[path = "../../../containerizer/examples/launch_cost/requests.rs"]
mod requests;
mod tasks;

use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::agent::Agent;
use crate::master::Master;
use crate::requests::{Request, serve};
use crate::tasks::Tasks;

/// What went wrong, for the person at the terminal.
pub(crate) type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("task_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [muster, images, work, cgroups] = &arguments[..] else {
        return Err("task_cost MUSTER IMAGE_DIR WORK_DIR CGROUPS_ROOT".into());
    };
    let runtime = Runtime::new()?;
    let mut master = runtime.block_on(Master::start())?;
    let agent = Agent::start(muster, images, work.as_ref(), cgroups, master.address())?;
    let link = runtime.block_on(master.register());
    let link = link.map_err(|error| format!("{error}: {}", agent.log()))?;
    let mut tasks = Tasks::new(agent, link);
    serve(|request| {
        let done = runtime.block_on(async {
            match request {
                Request::One => tasks.run(1, 1).await,
                Request::Many { number, width } => tasks.run(number, width).await,
                Request::Hold { number } => tasks.hold(number).await,
            }
        });
        done.map_err(|error| format!("{error}: {}", tasks.log()).into())
    })
}
