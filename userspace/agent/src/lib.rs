//! One machine of the cluster.
#![forbid(unsafe_code)]

mod agent;
mod checkpoint;
mod error;

pub use agent::{
    Agent, ContainerEvent, Counters, Family, Found, Input, LinkEvent, Output, Phase, Probe,
    Settings, Task, TaskKey, Timer, View,
};
pub use checkpoint::{AgentRow, Checkpoint, KillRow, TaskRow};
pub use error::Error;
