//! Executors: programs of frameworks that run tasks, each in a container of its own.

mod call;
mod group;
mod kill;
mod launch;
mod life;
mod queue;
mod recovery;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use muster_api::mesos::executor::Event;
use muster_api::mesos::executor::event::Type;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{AgentId, ExecutorInfo, FrameworkInfo, executor_info};
use muster_api::muster::{AgentExecutor, ExecutorExited, agent_message};
use muster_containerizer::Termination;
use muster_resources::Resources;
use prost::Message;

pub(super) use launch::Terms;

use super::link::say;
use super::{Io, Output, Phase, Settings, TaskKey};
use crate::checkpoint::{EXECUTORS, EndingRow, ExecutorRow};

/// What identifies an executor: ids of different frameworks may be equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExecutorKey {
    /// The framework's id.
    pub framework: String,
    /// The executor's id, unique among the framework's on this agent.
    pub executor: String,
}

impl ExecutorKey {
    pub(crate) fn new(framework: &str, executor: &str) -> Self {
        Self { framework: framework.to_owned(), executor: executor.to_owned() }
    }
}

/// How long an agent has patience with executors.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From an executor's start to its subscription.
    pub registration: Duration,
    /// From the agent's restart to an executor's new subscription.
    pub reregistration: Duration,
    /// From SHUTDOWN to the end, unless the executor asks for something else.
    pub shutdown: Duration,
    /// How long an executor is told to wait for an agent that is away.
    pub recovery: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            registration: Duration::from_mins(1),
            reregistration: Duration::from_secs(2),
            shutdown: Duration::from_secs(5),
            recovery: Duration::from_mins(15),
        }
    }
}

/// An executor from its launch to its end.
#[derive(Clone, Debug)]
pub struct Executor {
    pub(crate) framework: FrameworkInfo,
    pub(crate) agent_id: AgentId,
    pub(crate) info: ExecutorInfo,
    pub(crate) container: String,
    /// Its own; its tasks' come on top.
    pub(crate) resources: Resources,
    pub(crate) phase: Phase,
    pub(crate) pid: Option<u32>,
    /// The stream that it hears events on.
    pub(crate) subscription: Option<u64>,
    /// Whether it has ever subscribed.
    pub(crate) known: bool,
    /// What is told of its tasks if it does not subscribe in time.
    pub(crate) awaited: Option<Reason>,
    /// Set once it is to end.
    pub(crate) ending: Option<EndingRow>,
    /// What its container may use.
    pub(crate) given: muster_containerizer::Resources,
    /// What its container is being given.
    pub(crate) giving: Option<muster_containerizer::Resources>,
    /// Tasks it has not been told of.
    pub(crate) queue: BTreeSet<TaskKey>,
}

impl Executor {
    /// Whose executor it is.
    pub fn framework(&self) -> &FrameworkInfo {
        &self.framework
    }

    /// The framework's id.
    pub fn framework_id(&self) -> &str {
        self.framework.id.as_ref().map_or("", |id| &id.value)
    }

    /// What was asked for.
    pub fn info(&self) -> &ExecutorInfo {
        &self.info
    }

    /// The container it runs in.
    pub fn container_id(&self) -> &str {
        &self.container
    }

    /// How far its container has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it hears events.
    pub fn subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    /// Whether it is the agent's own that runs task groups, without a program of its own.
    pub fn is_default(&self) -> bool {
        self.info.r#type() == executor_info::Type::Default
    }

    /// Whether it is to end.
    pub fn ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Resources of its own, without its tasks'.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Whether it has not been told of this task yet.
    pub fn queues(&self, task: &TaskKey) -> bool {
        self.queue.contains(task)
    }

    /// Where its sandbox is: Mesos' layout.
    pub fn sandbox(&self, settings: &Settings) -> PathBuf {
        let (agent, framework) = (&self.agent_id.value, &self.key().framework);
        let (executor, run) = (&self.info.executor_id.value, &self.container);
        sandbox(settings, agent, framework, executor, run)
    }

    pub(crate) fn key(&self) -> ExecutorKey {
        ExecutorKey::new(self.framework_id(), &self.info.executor_id.value)
    }

    /// Writes its row.
    pub(crate) fn save(&self, io: &mut Io) {
        let row = ExecutorRow {
            framework: self.framework.clone(),
            agent_id: self.agent_id.clone(),
            info: self.info.clone(),
            container_id: self.container.clone(),
            known: self.known,
            ending: self.ending.clone(),
        };
        io.outbox.put(EXECUTORS, &self.container, row.encode_to_vec());
    }

    /// Says something to it, once what was decided before is on disk; not if it is away.
    pub(crate) fn tell(&self, io: &mut Io, kind: Type, event: Event) {
        let Some(subscription) = self.subscription else { return };
        let event = Box::new(Event { r#type: Some(kind.into()), ..event });
        io.outbox.then(Output::Tell { subscription, event });
    }

    /// The executor as the master is told of it when the agent registers.
    pub(crate) fn registered(&self) -> AgentExecutor {
        AgentExecutor {
            framework_id: self.framework.id.clone(),
            info: Some(self.info.clone()),
            agent_id: Some(self.agent_id.clone()),
        }
    }

    /// How long after SHUTDOWN it is killed.
    pub(crate) fn grace(&self, io: &Io) -> Duration {
        let own = self.info.shutdown_grace_period.map(|period| period.nanoseconds);
        own.map_or(io.settings.patience.shutdown, |nanoseconds| {
            Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
        })
    }
}

/// `slaves/<agent>/frameworks/<fw>/executors/<executor>/runs/<container>`.
pub(crate) fn sandbox(
    settings: &Settings,
    agent: &str,
    framework: &str,
    executor: &str,
    run: &str,
) -> PathBuf {
    let path = format!("slaves/{agent}/frameworks/{framework}/executors/{executor}/runs/{run}");
    settings.work_dir.join(path)
}

/// Tells the master that there is no such executor any more, or never was one. A master that
/// is away learns it when the agent registers.
fn exited(io: &mut Io, key: &ExecutorKey, how: Option<&Termination>) {
    if !io.registered {
        return;
    }
    let status = match how {
        Some(Termination::Exited(code)) => (code & 0xff) << 8,
        Some(Termination::Signaled(signal)) => *signal,
        _ => -1,
    };
    io.outbox.then(exit(key, status));
}

/// The same of an executor that was never on disk.
fn exited_now(io: &mut Io, key: &ExecutorKey) {
    if io.registered {
        io.outbox.now(exit(key, -1));
    }
}

fn exit(key: &ExecutorKey, status: i32) -> Output {
    say(agent_message::Message::ExecutorExited(ExecutorExited {
        framework_id: Some(key.framework.as_str().into()),
        executor_id: Some(key.executor.as_str().into()),
        status,
    }))
}
