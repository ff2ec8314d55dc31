//! Instances: one task each, from its launch to its end.

mod health;
mod id;

use std::collections::BTreeMap;

use muster_api::mesos::{Offer, TaskState};
use serde::{Deserialize, Serialize};

pub use health::Health;
pub use id::{InstanceId, NotAnInstance};

use crate::app::{App, HealthCheck, UnreachableStrategy};
use crate::timestamp::Timestamp;

/// Where an instance runs, as its offer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Mesos agent id.
    pub id: String,
    /// Its host name.
    pub host: String,
    /// Its address, if the offer said it.
    #[serde(default)]
    pub address: Option<String>,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Its region, where there are fault domains.
    pub region: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
}

/// What is known of an instance's task. The end of a task is the end of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// Launched, or about to be.
    Staging,
    /// The agent is starting it.
    Starting,
    /// It runs.
    Running,
    /// It is being killed.
    Killing,
    /// Its agent cannot be reached.
    Unreachable,
}

impl Condition {
    /// The Mesos name of the state.
    pub fn as_mesos(self) -> TaskState {
        match self {
            Self::Staging => TaskState::TaskStaging,
            Self::Starting => TaskState::TaskStarting,
            Self::Running => TaskState::TaskRunning,
            Self::Killing => TaskState::TaskKilling,
            Self::Unreachable => TaskState::TaskUnreachable,
        }
    }
}

/// Why an instance is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// There are too many.
    Scaling,
    /// A newer one takes its place.
    Upgrading,
    /// A user said so.
    Requested,
    /// Its health check failed too often.
    Unhealthy,
    /// Its application is gone.
    Deleted,
}

/// What should become of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// It should run.
    Running,
    /// It should end; it is killed until it has.
    Stopped(StopReason),
}

/// One instance of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// The version it was made from.
    pub version: Timestamp,
    /// That version's epoch.
    pub epoch: Timestamp,
    /// Where it runs.
    pub agent: Agent,
    /// Its host ports, in the order of the port definitions; 0 for one without.
    pub host_ports: Vec<u16>,
    /// Its addresses, as the agent reports them.
    pub ip_addresses: Vec<String>,
    /// What is known of its task.
    pub condition: Condition,
    /// What should become of it.
    pub goal: Goal,
    /// When it was launched.
    pub staged_at: Timestamp,
    /// When it was first heard to run.
    pub started_at: Option<Timestamp>,
    /// Since when its agent cannot be reached.
    pub unreachable_since: Option<Timestamp>,
    /// Failures in a row after which it is killed; `None` without a health check.
    pub max_failures: Option<u32>,
    /// What its health check said.
    pub health: Health,
    /// Whether its readiness check has succeeded; `None` without one.
    #[serde(default)]
    pub ready: Option<bool>,
    /// The uuid of the last status update, in hexadecimal: to know repetitions.
    pub last_update: String,
    /// Whether its fate has been heard of since this process started. Until then nothing
    /// is launched in its place.
    #[serde(skip)]
    pub confirmed: bool,
}

impl Instance {
    /// An instance of `app` about to be launched on the agent of `offer`.
    pub fn launched(
        id: InstanceId,
        app: &App,
        offer: &Offer,
        ports: Vec<u16>,
        now: Timestamp,
    ) -> Self {
        let max_failures = app.spec.health_checks.first().map(HealthCheck::limit);
        Self {
            id,
            version: app.version,
            epoch: app.epoch,
            agent: Agent::of(offer),
            host_ports: ports,
            ip_addresses: Vec::new(),
            condition: Condition::Staging,
            goal: Goal::Running,
            staged_at: now,
            started_at: None,
            unreachable_since: None,
            max_failures,
            health: Health::default(),
            ready: (!app.spec.readiness_checks.is_empty()).then_some(false),
            last_update: String::new(),
            confirmed: true,
        }
    }

    /// Whether it should run.
    pub fn is_wanted(&self) -> bool {
        self.goal == Goal::Running
    }

    /// Whether it is up, and ready as far as that is checked: a deployment may count on it.
    pub fn is_ready(&self) -> bool {
        self.is_up() && self.ready != Some(false)
    }

    /// Whether it runs and, if its health is checked, is healthy.
    pub fn is_up(&self) -> bool {
        self.condition == Condition::Running
            && (self.max_failures.is_none() || self.health.healthy == Some(true))
    }

    /// When it is given up for counting and when it is forgotten, under `strategy`;
    /// `None` while its agent can be reached, or when it is waited for without end.
    pub fn unreachable_deadlines(
        &self,
        strategy: UnreachableStrategy,
    ) -> Option<(Timestamp, Timestamp)> {
        let since = self.unreachable_since?;
        match strategy {
            UnreachableStrategy::Disabled => None,
            UnreachableStrategy::Enabled { inactive_after_seconds, expunge_after_seconds } => {
                let after = |seconds| since.plus(std::time::Duration::from_secs(seconds));
                Some((after(inactive_after_seconds), after(expunge_after_seconds)))
            }
        }
    }
}
