//! One task.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use muster_api::mesos::container_info::docker_info::Network;
use muster_api::mesos::{
    ExecutorId, FrameworkId, FrameworkInfo, Resource, TaskId, TaskInfo, TaskState, TaskStatus,
    container_info,
};
use muster_containerizer::split_id;
use muster_resources::Resources;
use prost::Message;

use super::{Checker, Io, Observer, Output, Settings, Stream, Timer, executor};
use crate::checkpoint::{KillRow, TASKS, TaskRow, UPDATES, update_key};
use muster_api::muster::{AgentMessage, AgentTask, StatusUpdate, agent_message};

/// What identifies a task: ids of different frameworks may be equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey {
    /// The framework's id.
    pub framework: String,
    /// The task's id, unique among the framework's.
    pub task: String,
}

impl TaskKey {
    pub(crate) fn new(framework: &FrameworkId, task: &TaskId) -> Self {
        Self { framework: framework.value.clone(), task: task.value.clone() }
    }
}

/// Updates of a task by its executor that are remembered: it repeats only the latest.
const SEEN: usize = 64;

/// How far a task's container has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its launch has been decided.
    Launching,
    /// Its command has been executed.
    Running,
    /// It has ended, or there never was one.
    Ended,
}

/// What these are together, whoever they are reserved for: an agent has to know only how much.
pub(crate) fn sum(resources: &[Resource]) -> Result<Resources, muster_resources::Error> {
    Ok(Resources::from_proto(resources)?.unallocated().to_unreserved())
}

/// The addresses that a task which has its own had by its latest status: after a restart the engine need not
/// be there to be asked.
fn own_addresses(info: &TaskInfo, status: &TaskStatus) -> Option<Vec<IpAddr>> {
    let container = info.container.as_ref();
    let docker = container.filter(|container| container.r#type() == container_info::Type::Docker);
    let docker = docker.and_then(|container| container.docker.as_ref())?;
    if docker.network() == Network::Host {
        return None;
    }
    let networks = &status.container_status.as_ref()?.network_infos;
    let addresses = networks.iter().flat_map(|network| &network.ip_addresses);
    Some(addresses.filter_map(|address| address.ip_address().parse().ok()).collect())
}

/// A task this agent has not forgotten.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) framework_id: FrameworkId,
    pub(crate) info: TaskInfo,
    pub(crate) container: String,
    pub(crate) resources: Resources,
    pub(crate) phase: Phase,
    pub(crate) pid: Option<u32>,
    /// Its container's own addresses; `None` while it has none, and if it shares the machine's network.
    pub(crate) addresses: Option<Vec<IpAddr>>,
    pub(crate) status: TaskStatus,
    pub(crate) history: Vec<TaskStatus>,
    pub(crate) kill: Option<KillRow>,
    /// Whether its framework wants to hear `TASK_KILLING`.
    pub(crate) tell_killing: bool,
    pub(crate) checker: Option<Checker>,
    pub(crate) observer: Option<Observer>,
    /// How many health checks in a row have failed.
    pub(crate) failures: u32,
    pub(crate) stream: Stream,
    /// Whether it is in the store. Only a task that was refused because the store takes
    /// nothing is not.
    pub(crate) durable: bool,
    /// The container of the executor that runs it, if it is not the agent that does.
    pub(crate) host: Option<String>,
    /// Uuids of the latest updates of its executor.
    pub(crate) seen: Vec<Vec<u8>>,
    /// The group that it was launched in, if it was.
    pub(crate) group: Option<String>,
    /// Whether the agent runs it, in a container nested in its executor's.
    pub(crate) inside: bool,
    /// When its command was executed, in nanoseconds since 1970.
    pub(crate) started: Option<u64>,
    /// When the framework was last told how far a pull or a fetch is.
    pub(crate) told_progress: Option<Duration>,
    /// Its framework, if the master said more than its id.
    pub(crate) framework: Option<FrameworkInfo>,
}

impl Task {
    /// Whose task it is.
    pub fn framework_id(&self) -> &FrameworkId {
        &self.framework_id
    }

    /// The same with all that is known of it, its id at least.
    pub fn framework(&self) -> FrameworkInfo {
        let id = Some(self.framework_id.clone());
        let known = self.framework.clone();
        let bare = || FrameworkInfo { name: self.framework_id.value.clone(), ..Default::default() };
        FrameworkInfo { id, ..known.unwrap_or_else(bare) }
    }

    /// What was asked for.
    pub fn info(&self) -> &TaskInfo {
        &self.info
    }

    /// The container it runs in.
    pub fn container_id(&self) -> &str {
        let host = self.host.as_deref().filter(|_| !self.inside);
        host.unwrap_or(&self.container)
    }

    /// The container of its executor, if it has one.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whether an executor of the framework's runs it.
    pub fn hosted(&self) -> bool {
        self.host.is_some() && !self.inside
    }

    /// Who runs it: its executor, or the agent under the task's own id, as in Mesos.
    pub fn executor_id(&self) -> &str {
        let executor = self.info.executor.as_ref().map(|executor| &executor.executor_id);
        executor.map_or(&self.info.task_id.value, |ExecutorId { value }| value)
    }

    /// How far its container has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its latest status, acknowledged or not.
    pub fn status(&self) -> &TaskStatus {
        &self.status
    }

    /// The last status of each state that it has been in, oldest first, as far as this process
    /// saw them.
    pub fn history(&self) -> &[TaskStatus] {
        &self.history
    }

    /// Resources that it holds.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// How many status updates await acknowledgement.
    pub fn unacknowledged(&self) -> usize {
        self.stream.len()
    }

    /// A task before its first status.
    pub(crate) fn new(
        framework_id: FrameworkId,
        info: TaskInfo,
        container: String,
        resources: Resources,
    ) -> Self {
        let status = TaskStatus {
            task_id: info.task_id.clone(),
            state: TaskState::TaskStaging.into(),
            ..Default::default()
        };
        Self {
            framework_id,
            info,
            container,
            resources,
            phase: Phase::Launching,
            pid: None,
            addresses: None,
            status,
            history: Vec::new(),
            kill: None,
            tell_killing: false,
            checker: None,
            observer: None,
            failures: 0,
            stream: Stream::new(Vec::new()),
            durable: true,
            host: None,
            seen: Vec::new(),
            group: None,
            inside: false,
            started: None,
            told_progress: None,
            framework: None,
        }
    }

    /// A task as it was checkpointed.
    pub(crate) fn from_row(
        row: TaskRow,
        resources: Resources,
        updates: Vec<(u64, TaskStatus)>,
    ) -> Self {
        Self {
            addresses: own_addresses(&row.info, &row.status),
            framework_id: row.framework_id,
            info: row.info,
            container: row.container_id,
            resources,
            phase: Phase::Launching,
            pid: row.status.container_status.as_ref().and_then(|status| status.executor_pid),
            history: vec![row.status.clone()],
            status: row.status,
            kill: row.kill,
            tell_killing: row.tell_killing,
            checker: None,
            observer: None,
            failures: row.failures,
            stream: Stream::new(updates),
            durable: true,
            host: row.host,
            seen: row.seen,
            group: row.group,
            inside: row.inside,
            started: row.started,
            told_progress: None,
            framework: row.framework,
        }
    }

    pub(crate) fn key(&self) -> TaskKey {
        TaskKey::new(&self.framework_id, &self.info.task_id)
    }

    /// Writes the task's row.
    pub(crate) fn save(&self, io: &mut Io) {
        if self.durable {
            let row = TaskRow {
                framework_id: self.framework_id.clone(),
                info: self.info.clone(),
                container_id: self.container.clone(),
                status: self.status.clone(),
                kill: self.kill.clone(),
                tell_killing: self.tell_killing,
                host: self.host.clone(),
                seen: self.seen.clone(),
                group: self.group.clone(),
                inside: self.inside,
                started: self.started,
                failures: self.failures,
                framework: self.framework.clone(),
            };
            io.outbox.put(TASKS, &self.container, row.encode_to_vec());
        }
    }

    /// Remembers an update of its executor, so that it is not taken twice.
    pub(crate) fn saw(&mut self, uuid: Vec<u8>) {
        if self.seen.len() == SEEN {
            self.seen.remove(0);
        }
        self.seen.push(uuid);
    }

    /// Makes `status` the latest, checkpoints it and has it sent in its turn.
    pub(crate) fn report(&mut self, io: &mut Io, status: TaskStatus) {
        // Of each state the latest, as Mesos does.
        self.history.pop_if(|last| last.state == status.state);
        self.history.push(status.clone());
        io.counters.count(&status);
        self.status = status.clone();
        self.save(io);
        let bytes = self.durable.then(|| status.encode_to_vec());
        let number = self.stream.push(status);
        if let Some(bytes) = bytes {
            io.outbox.put(UPDATES, update_key(&self.container, number), bytes);
        }
        if self.stream.len() == 1 {
            self.send(io);
        }
    }

    /// Sends the head of the stream, if there is one and a master to hear it.
    pub(crate) fn send(&mut self, io: &mut Io) {
        if !io.registered || self.stream.is_empty() {
            return;
        }
        let framework_id = self.framework_id.clone();
        let sending = self.stream.send();
        let Some(status) = sending.status.cloned() else { return };
        let update = StatusUpdate { framework_id: Some(framework_id), status: Some(status) };
        let message = AgentMessage { message: Some(agent_message::Message::Update(update)) };
        let timer = Timer::Resend { container: self.container.clone(), sent: sending.sent };
        let timer = Output::Timer { after: sending.pause, timer };
        io.counters.updates_sent += 1;
        if self.durable {
            io.outbox.then(Output::Send(Box::new(message)));
            io.outbox.then(timer);
        } else {
            io.outbox.now(Output::Send(Box::new(message)));
            io.outbox.now(timer);
        }
    }

    /// Deletes the task's rows.
    pub(crate) fn erase(&self, io: &mut Io) {
        if self.durable {
            io.outbox.delete(TASKS, &self.container);
        }
    }

    /// Where its sandbox is: Mesos' layout.
    pub fn sandbox(&self, settings: &Settings) -> PathBuf {
        let (agent, framework) = (&self.info.agent_id.value, &self.framework_id.value);
        let run = self.host.as_deref().unwrap_or(&self.container);
        let sandbox = executor::sandbox(settings, agent, framework, self.executor_id(), run);
        match split_id(&self.container) {
            (Some(_), id) if self.inside => sandbox.join("containers").join(id),
            _ => sandbox,
        }
    }

    /// The task as the master is told of it when the agent registers.
    pub(crate) fn registered(&self) -> AgentTask {
        AgentTask {
            framework_id: Some(self.framework_id.clone()),
            info: Some(self.info.clone()),
            status: Some(self.status.clone()),
            unacknowledged: !self.stream.is_empty(),
        }
    }

    /// How long after SIGTERM it is killed, unless the kill itself says otherwise.
    pub(crate) fn grace(&self, settings: &Settings) -> Duration {
        let own = super::kill::grace(self.info.kill_policy.as_ref());
        let container = self.info.container.as_ref();
        let docker = container.is_some_and(|c| c.r#type() == container_info::Type::Docker);
        let engines = settings.containerizers.stop_timeout.filter(|_| docker);
        own.or(engines).unwrap_or(super::kill::DEFAULT_GRACE)
    }
}
