//! What the master knows of agents, frameworks, offers and tasks.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use muster_allocator::OfferConstraints;
use muster_api::TaskStateExt as _;
use muster_api::mesos::framework_info::capability;
use muster_api::mesos::scheduler;
use muster_api::mesos::{
    AgentInfo, FrameworkInfo, KillPolicy, TaskInfo, TaskState, TaskStatus, Unavailability,
};
use muster_api::muster::AgentTask;
use muster_resources::Resources;

use super::{ConnectionId, LinkId};

/// A framework's id and a task's.
pub type TaskKey = (String, String);

/// A machine of the cluster.
#[derive(Clone, Debug)]
pub struct Agent {
    /// With its id.
    pub info: AgentInfo,
    /// Where other machines reach it.
    pub address: IpAddr,
    /// Total resources.
    pub total: Resources,
    /// Its open link.
    pub link: Option<LinkId>,
    /// Its process, as it names itself; empty until it has registered with this master.
    pub incarnation: String,
    /// Version of its software; empty until it has registered with this master.
    pub version: String,
    /// How it is doing.
    pub liveness: Liveness,
    /// First registration, since 1970.
    pub registered: Duration,
    /// Latest registration after the first, since 1970.
    pub reregistered: Option<Duration>,
    /// When its machine will be down, if that is known.
    pub unavailability: Option<Unavailability>,
}

/// How an agent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// In the registry, not heard of since this master started.
    Recovered {
        /// When this master started.
        since: Duration,
    },
    /// Linked.
    Connected {
        /// The last ping.
        pinged: Duration,
        /// Pings since the last answer.
        unanswered: u32,
    },
    /// Its link broke; it has time to come back.
    Disconnected {
        /// When.
        since: Duration,
    },
    /// Given up; its tasks are reported unreachable.
    Unreachable {
        /// When.
        since: Duration,
    },
}

/// A framework.
#[derive(Clone, Debug)]
pub struct Framework {
    /// With its id.
    pub info: FrameworkInfo,
    /// Its subscription, while it has one.
    pub connection: Option<ConnectionId>,
    /// Roles it wants no offers for.
    pub suppressed: BTreeSet<String>,
    /// Which agents it wants offers of; it says so again when it subscribes.
    pub constraints: OfferConstraints,
    /// The same as it said it.
    pub offer_constraints: Option<scheduler::OfferConstraints>,
    /// First subscription, since 1970.
    pub registered: Duration,
    /// Latest subscription after the first, since 1970.
    pub reregistered: Option<Duration>,
    /// When its subscription ended or this master started, if it has none.
    pub disconnected: Option<Duration>,
    /// The last heartbeat sent.
    pub heartbeat: Duration,
    /// Torn down.
    pub completed: bool,
    /// Its latest tasks that ended, oldest first; at most [`Self::MAX_COMPLETED`].
    pub completed_tasks: VecDeque<Completed>,
}

/// A task that ended and was acknowledged.
#[derive(Clone, Debug)]
pub struct Completed {
    /// What it was.
    pub info: TaskInfo,
    /// How it ended.
    pub status: TaskStatus,
}

/// Resources of an agent offered to a framework.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Who may use them.
    pub framework: String,
    /// In which role.
    pub role: String,
    /// Where they are.
    pub agent: String,
    /// What is offered.
    pub resources: Resources,
    /// When, since 1970.
    pub made: Duration,
}

/// A task from its launch to its acknowledged end.
#[derive(Clone, Debug)]
pub struct Task {
    /// What the framework asked for.
    pub info: TaskInfo,
    /// The latest status.
    pub status: TaskStatus,
    /// What it holds; given back when it ends.
    pub resources: Resources,
    /// In which role.
    pub role: String,
    /// The framework wants it gone; repeated to the agent when it comes back.
    pub kill: Option<KillPolicy>,
}

impl Agent {
    /// Whether it takes tasks and is offered.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }
}

impl Framework {
    /// How many ended tasks are remembered for the state endpoint.
    pub const MAX_COMPLETED: usize = 1000;

    /// The roles it is subscribed to.
    pub fn roles(&self) -> Vec<String> {
        roles(&self.info)
    }

    /// Whether it declared the capability.
    pub fn has(&self, capability: capability::Type) -> bool {
        has(&self.info, capability)
    }

    /// The state to tell it: states that came with partition awareness are `TASK_LOST`
    /// to a framework without it.
    pub fn translate(&self, state: TaskState) -> TaskState {
        let new = matches!(
            state,
            TaskState::TaskDropped
                | TaskState::TaskUnreachable
                | TaskState::TaskGone
                | TaskState::TaskGoneByOperator
                | TaskState::TaskUnknown
        );
        if new && !self.has(capability::Type::PartitionAware) { TaskState::TaskLost } else { state }
    }

    /// Remembers an ended task.
    pub fn complete(&mut self, completed: Completed) {
        if self.completed_tasks.len() == Self::MAX_COMPLETED {
            self.completed_tasks.pop_front();
        }
        self.completed_tasks.push_back(completed);
    }
}

impl Task {
    /// The agent it was launched on.
    pub fn agent(&self) -> &str {
        &self.info.agent_id.value
    }

    /// Whether it has ended.
    pub fn is_terminal(&self) -> bool {
        self.status.state().is_terminal()
    }

    /// What it holds, marked with its role.
    pub fn allocated(&self) -> Resources {
        self.resources.clone().allocated_to(&self.role)
    }

    /// Its row in the registry.
    pub fn row(&self, framework: &str) -> AgentTask {
        AgentTask {
            framework_id: Some(framework.into()),
            info: Some(self.info.clone()),
            status: Some(self.status.clone()),
            unacknowledged: self.status.uuid.is_some(),
        }
    }
}

/// The roles a framework's description names.
pub(super) fn roles(info: &FrameworkInfo) -> Vec<String> {
    if has(info, capability::Type::MultiRole) {
        info.roles.clone()
    } else {
        #[expect(deprecated, reason = "frameworks without MULTI_ROLE name their one role here")]
        let role = info.role.clone();
        vec![role.unwrap_or_else(|| "*".to_owned())]
    }
}

fn has(info: &FrameworkInfo, capability: capability::Type) -> bool {
    info.capabilities.iter().any(|c| c.r#type() == capability)
}
