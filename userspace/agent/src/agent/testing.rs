//! An agent with a store and a clock, for tests that feed it one event at a time.

use std::time::Duration;

use muster_api::mesos::{
    CommandInfo, DurationInfo, KillPolicy, Resource, TaskInfo, TaskState, TaskStatus, value,
};
use muster_api::muster::{
    Acknowledge, Kill, Launch, MasterMessage, Register, Registered, agent_message, master_message,
};
use muster_containerizer::{ContainerSpec, Termination};
use muster_resources::Resources;
use muster_store::{Memory, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{
    Agent, ContainerEvent, Found, Input, LinkEvent, Output, Patience, Settings, Task, TaskKey,
    Timer, Workload,
};
use crate::checkpoint::Checkpoint;

/// The id the master gives the agent.
pub(crate) const AGENT_ID: &str = "m-S0";

/// An agent whose commits succeed at once, unless [`full`](Self::full).
pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) store: Memory,
    pub(crate) now: Duration,
    pub(crate) session: u64,
    /// While set, the store takes nothing.
    pub(crate) full: bool,
}

pub(crate) fn settings() -> Settings {
    Settings {
        hostname: "a1".into(),
        address: "10.0.0.1".parse().unwrap(),
        port: 5051,
        resources: Resources::parse("cpus:4;mem:1024;ports:[31000-32000]").unwrap(),
        attributes: Vec::new(),
        work_dir: "/work".into(),
        version: "1".into(),
        incarnation: "first".into(),
        patience: Patience::default(),
        containerizers: crate::Containerizers::default(),
    }
}

impl Rig {
    /// An agent with an empty store that has not started.
    pub(crate) fn cold() -> Self {
        Self {
            agent: Agent::new(settings(), StdRng::seed_from_u64(1)),
            store: Memory::default(),
            now: Duration::from_secs(1_000_000),
            session: 0,
            full: false,
        }
    }

    /// An agent that a master has registered.
    pub(crate) fn registered() -> Self {
        let mut rig = Self::cold();
        rig.start(Vec::new());
        rig.attach();
        rig
    }

    /// Starts the agent on what the store holds.
    pub(crate) fn start(&mut self, containers: Vec<Found>) -> Vec<Output> {
        let checkpoint = Checkpoint::load(&self.store).unwrap();
        self.feed(Input::Recovered { checkpoint, containers })
    }

    /// The agent's process dies and another takes its place; the store stays.
    pub(crate) fn restart(&mut self, containers: Vec<Found>) -> Vec<Output> {
        self.agent = Agent::new(settings(), StdRng::seed_from_u64(2));
        self.start(containers)
    }

    /// Connects and registers; gives what the agent does then.
    pub(crate) fn attach(&mut self) -> Vec<Output> {
        self.link(LinkEvent::Connected);
        self.say(master_message::Message::Registered(registered()))
    }

    /// Feeds one input, and commits what the agent wants committed.
    pub(crate) fn feed(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = self.agent.handle(self.now, input);
        let mut done = Vec::new();
        loop {
            let mut persisted = None;
            for output in outputs {
                match output {
                    Output::Persist(_) if self.full => persisted = Some(Err("full".to_owned())),
                    Output::Persist(batch) => {
                        self.store.commit(batch).unwrap();
                        persisted = Some(Ok(()));
                    }
                    Output::Dial { session, .. } => {
                        self.session = session;
                        done.push(output);
                    }
                    other => done.push(other),
                }
            }
            match persisted {
                Some(result) => outputs = self.agent.handle(self.now, Input::Persisted(result)),
                None => return done,
            }
        }
    }

    pub(crate) fn link(&mut self, event: LinkEvent) -> Vec<Output> {
        self.feed(Input::Link { session: self.session, event })
    }

    /// The master says `message`.
    pub(crate) fn say(&mut self, message: master_message::Message) -> Vec<Output> {
        let message = MasterMessage { message: Some(message) };
        self.link(LinkEvent::Message(Box::new(message)))
    }

    pub(crate) fn launch(&mut self, info: TaskInfo) -> Vec<Output> {
        let framework_id = Some("f".into());
        let launch = Launch { framework_id, task: Some(info), ..Launch::default() };
        self.say(master_message::Message::Launch(launch))
    }

    /// Launches a task and has its command executed.
    pub(crate) fn run(&mut self, info: TaskInfo) -> Vec<Output> {
        let id = info.task_id.value.clone();
        self.launch(info);
        let container = self.task(&id).container.clone();
        self.container(&container, ContainerEvent::Launched { pid: 77, addresses: None })
    }

    pub(crate) fn container(&mut self, id: &str, event: ContainerEvent) -> Vec<Output> {
        self.feed(Input::Container { id: id.to_owned(), event })
    }

    /// The task's container ends.
    pub(crate) fn end(&mut self, task: &str, how: Termination) -> Vec<Output> {
        let container = self.task(task).container.clone();
        self.container(&container, ContainerEvent::Ended(how))
    }

    /// The framework asks for the task's end, after `grace` seconds if given.
    pub(crate) fn kill(&mut self, task: &str, grace: Option<i64>) -> Vec<Output> {
        let kill_policy = grace.map(kill_policy);
        self.say(master_message::Message::Kill(Kill {
            framework_id: Some("f".into()),
            task_id: Some(task.into()),
            kill_policy,
        }))
    }

    /// The framework acknowledges the head of a task's updates.
    pub(crate) fn acknowledge(&mut self, task: &str) -> Vec<Output> {
        let head = self.task(task).stream.head().unwrap();
        let uuid = head.uuid.clone().unwrap();
        self.acknowledge_uuid(task, uuid)
    }

    pub(crate) fn acknowledge_uuid(&mut self, task: &str, uuid: Vec<u8>) -> Vec<Output> {
        self.say(master_message::Message::Acknowledge(Acknowledge {
            framework_id: Some("f".into()),
            task_id: Some(task.into()),
            uuid,
        }))
    }

    pub(crate) fn timer(&mut self, timer: Timer) -> Vec<Output> {
        self.feed(Input::Timer(timer))
    }

    pub(crate) fn task(&self, task: &str) -> &Task {
        &self.agent.tasks[&key(task)]
    }

    pub(crate) fn knows(&self, task: &str) -> bool {
        self.agent.tasks.contains_key(&key(task))
    }

    /// Rows of a table in the store.
    pub(crate) fn rows(&self, table: &'static str) -> usize {
        self.store.scan(table).unwrap().len()
    }
}

fn key(task: &str) -> TaskKey {
    TaskKey { framework: "f".into(), task: task.into() }
}

pub(crate) fn registered() -> Registered {
    Registered {
        agent_id: Some(AGENT_ID.into()),
        master_id: "m".into(),
        ping_interval_seconds: 3.0,
    }
}

pub(crate) fn kill_policy(seconds: i64) -> KillPolicy {
    KillPolicy { grace_period: Some(DurationInfo { nanoseconds: seconds * 1_000_000_000 }) }
}

pub(crate) fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    }
}

pub(crate) fn ports(begin: u64, end: u64) -> Resource {
    Resource {
        name: "ports".into(),
        r#type: value::Type::Ranges.into(),
        ranges: Some(value::Ranges { range: vec![value::Range { begin, end }] }),
        ..Default::default()
    }
}

/// A task that sleeps.
pub(crate) fn task(id: &str) -> TaskInfo {
    TaskInfo {
        name: "sleeper".into(),
        task_id: id.into(),
        agent_id: AGENT_ID.into(),
        resources: vec![scalar("cpus", 0.5), scalar("mem", 64.0)],
        command: Some(CommandInfo { value: Some("sleep 1000".into()), ..Default::default() }),
        ..Default::default()
    }
}

/// The statuses sent among `outputs`.
pub(crate) fn sent(outputs: &[Output]) -> Vec<TaskStatus> {
    pick(outputs, |output| match output {
        Output::Send(message) => match &message.message {
            Some(agent_message::Message::Update(update)) => update.status.clone(),
            _ => None,
        },
        _ => None,
    })
}

/// The states sent among `outputs`.
pub(crate) fn states(outputs: &[Output]) -> Vec<TaskState> {
    sent(outputs).iter().map(TaskStatus::state).collect()
}

/// What `pick` finds among `outputs`.
fn pick<'a, T>(outputs: &'a [Output], pick: impl Fn(&'a Output) -> Option<T>) -> Vec<T> {
    outputs.iter().filter_map(pick).collect()
}

pub(crate) fn launches(outputs: &[Output]) -> Vec<&ContainerSpec> {
    pick(outputs, |output| match output {
        Output::Launch(workload) => match &**workload {
            Workload::Mesos(spec) => Some(spec),
            Workload::Docker { .. } => None,
        },
        _ => None,
    })
}

/// Containers killed among `outputs`, with the grace periods in seconds.
pub(crate) fn kills(outputs: &[Output]) -> Vec<(&str, u64)> {
    pick(outputs, |output| match output {
        Output::Kill { container, grace } => Some((container.as_str(), grace.as_secs())),
        _ => None,
    })
}

pub(crate) fn destroyed(outputs: &[Output]) -> Vec<&str> {
    pick(outputs, |output| match output {
        Output::Destroy { container } => Some(container.as_str()),
        _ => None,
    })
}

pub(crate) fn watched(outputs: &[Output]) -> Vec<&str> {
    pick(outputs, |output| match output {
        Output::Watch { container } => Some(container.as_str()),
        _ => None,
    })
}

/// The pauses before the dials among `outputs`.
pub(crate) fn dialled(outputs: &[Output]) -> Vec<Duration> {
    pick(outputs, |output| match output {
        Output::Dial { after, .. } => Some(*after),
        _ => None,
    })
}

/// The registrations sent among `outputs`.
pub(crate) fn registrations(outputs: &[Output]) -> Vec<Register> {
    pick(outputs, |output| match output {
        Output::Send(message) => match &message.message {
            Some(agent_message::Message::Register(register)) => Some(register.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// The timers set among `outputs` that `kind` accepts.
pub(crate) fn timers(outputs: &[Output], kind: fn(&Timer) -> bool) -> Vec<(Duration, Timer)> {
    pick(outputs, |output| match output {
        Output::Timer { after, timer } if kind(timer) => Some((*after, timer.clone())),
        _ => None,
    })
}
