//! The agent: one machine of the cluster.
//!
//! [`Agent`] is the logic: a state machine of tasks, status updates, the link to the
//! master and the cluster view. [`run`] gives it a machine: checkpoints in redb, the
//! containerizer, the data plane, the link, health checks, HTTP.
#![forbid(unsafe_code)]

mod agent;
mod checkpoint;
mod clock;
mod config;
mod containerizers;
mod containers;
mod error;
mod http;
mod link;
mod log_level;
mod machine;
mod probe;
mod run;
mod sandbox;
mod sessions;
mod shell;
mod subscriptions;

pub use agent::{
    Agent, ContainerEvent, Counters, Executor, ExecutorEvent, ExecutorKey, Family, Finding, Found,
    Input, LinkEvent, Output, Patience, Phase, Probe, Purpose, Settings, Task, TaskKey, Timer,
    View, VipNews, Workload,
};
pub use checkpoint::{AgentRow, Checkpoint, EndingRow, ExecutorRow, KillRow, TaskRow};
pub use config::{Config, ImageGc, Recover};
pub use containerizers::Containerizers;
pub use error::Error;
pub use log_level::LogLevel;
/// By what the backends of VIPs are chosen.
pub use muster_dataplane::{Interfaces, Policy, VipBackend};
pub use run::run;
