//! Applications: what a user wants to keep running.

mod constraint;
mod container;
mod fetch;
mod health_check;
mod id;
mod network;
mod port;
mod readiness_check;
mod strategy;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use constraint::{Constraint, Operator};
pub use container::{Container, Engine, Volume, VolumeSource};
pub use fetch::Fetch;
pub use health_check::{HealthCheck, Probe, ProbePort};
pub use id::AppId;
pub use network::Network;
pub use port::{HostPort, Mapping, PortDefinition, Protocol};
pub use readiness_check::ReadinessCheck;
pub use strategy::{Backoff, KillSelection, UnreachableStrategy, UpgradeStrategy};

use crate::timestamp::Timestamp;

/// Everything about an application that its instances are made from: a change of any of
/// it replaces them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// A command line for `/bin/sh -c`; excludes `args`.
    pub cmd: Option<String>,
    /// Program and arguments, or arguments for the image's entry point.
    pub args: Vec<String>,
    /// The user that runs it; `None` is the framework's.
    pub user: Option<String>,
    /// Files that are put into the sandbox.
    #[serde(default)]
    pub fetch: Vec<Fetch>,
    /// Environment variables, over those that every task gets.
    pub env: BTreeMap<String, String>,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// CPUs per instance, at least 0.001.
    pub cpus: f64,
    /// Memory per instance in MiB.
    pub mem: f64,
    /// Disk per instance in MiB.
    pub disk: f64,
    /// What it runs in; `None` is a plain command on the agent.
    pub container: Option<Container>,
    /// Whether it has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// The network that it is in.
    #[serde(default)]
    pub network: Network,
    /// Ports per instance.
    pub ports: Vec<PortDefinition>,
    /// Whether [`PortDefinition::port`] is the host port itself.
    pub require_ports: bool,
    /// Where instances may run; all must hold.
    pub constraints: Vec<Constraint>,
    /// Roles whose resources may be used.
    pub accepted_resource_roles: Vec<String>,
    /// How an instance shows that it works; at most one.
    pub health_checks: Vec<HealthCheck>,
    /// How an instance shows that a deployment may go on; at most one.
    #[serde(default)]
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Delay between launches after failures.
    pub backoff: Backoff,
    /// Bounds of rolling upgrades.
    pub upgrade_strategy: UpgradeStrategy,
    /// What happens when an agent cannot be reached.
    pub unreachable_strategy: UnreachableStrategy,
    /// Who goes first when scaling down.
    pub kill_selection: KillSelection,
    /// Seconds from SIGTERM to SIGKILL; `None` is the agent's default.
    pub task_kill_grace_period_seconds: Option<u32>,
    /// The role it runs under.
    pub role: String,
}

/// One version of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its path.
    pub id: AppId,
    /// How many instances there should be.
    pub instances: u32,
    /// What they are made from.
    pub spec: Spec,
    /// When this version was made; versions of one application never share one.
    pub version: Timestamp,
    /// The version in which `instances` last changed, or a restart was asked for.
    pub last_scaling_at: Timestamp,
    /// The version in which `spec` last changed.
    pub last_config_change_at: Timestamp,
    /// Which instances are up to date: those with the same epoch. A change of `spec` and
    /// a restart begin a new one; going back to an earlier version goes back to its epoch,
    /// so that instances of that version that still run are kept.
    pub epoch: Timestamp,
}
