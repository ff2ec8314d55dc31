//! The simulated master: launches, kills, acknowledges, and checks what it is told.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::TaskStateExt;
use muster_api::mesos::{
    CommandInfo, ExecutorInfo, HealthCheck, Resource, TaskInfo, TaskState, executor_info,
    health_check, value,
};
use muster_api::muster::{
    Acknowledge, AgentMessage, Kill, Launch, LaunchGroup, MasterMessage, Ping, Registered,
    ShutdownExecutor, agent_message, master_message,
};
use rand::RngExt;
use rand::rngs::StdRng;

const AGENT: &str = "m-S0";
/// What ids of executors begin with.
pub(crate) const EXECUTOR: &str = "executor";

#[derive(Debug, Default)]
pub(crate) struct Master {
    tasks: BTreeMap<String, Told>,
    next: u64,
    registered: bool,
    /// The executors it thinks there are.
    executors: BTreeSet<String>,
    pub(crate) exits: usize,
}

/// What the master knows of one task.
#[derive(Debug, Default)]
struct Told {
    /// The uuids it was told in, each once, and their states.
    updates: Vec<(Vec<u8>, TaskState)>,
    /// The agent registered without it: its launch never arrived.
    gone: bool,
}

impl Told {
    fn end(&self) -> Option<TaskState> {
        let (_, state) = self.updates.last()?;
        state.is_terminal().then_some(*state)
    }
}

impl Master {
    /// The link is gone.
    pub(crate) fn cut(&mut self) {
        self.registered = false;
    }

    /// Something the master does by itself now and then.
    pub(crate) fn act(&mut self, rng: &mut StdRng, launch: bool) -> Option<MasterMessage> {
        if !self.registered {
            return None;
        }
        let kill = rng.random_bool(0.3);
        if !kill && launch {
            let id = format!("t{}", self.next);
            self.next += 1;
            self.tasks.insert(id.clone(), Told::default());
            if rng.random_bool(0.2) {
                return Some(self.group(&id));
            }
            let mut info = task(&id, rng.random_bool(0.3));
            let mut launch = Launch { framework_id: Some("f".into()), ..Launch::default() };
            if rng.random_bool(0.5) {
                let id = format!("{EXECUTOR}{}", rng.random_range(0..3));
                launch.launch_executor = self.executors.insert(id.clone());
                host(&mut info, &id);
            }
            launch.task = Some(info);
            return Some(say(master_message::Message::Launch(launch)));
        }
        if !launch && let Some(id) = self.executors.first() {
            let (framework_id, executor_id) = (Some("f".into()), Some(id.as_str().into()));
            let shutdown = ShutdownExecutor { framework_id, executor_id };
            return Some(say(master_message::Message::ShutdownExecutor(shutdown)));
        }
        let alive: Vec<_> = self.tasks.iter().filter(|(_, told)| told.end().is_none()).collect();
        if !kill || alive.is_empty() {
            return Some(say(master_message::Message::Ping(Ping {})));
        }
        let (id, _) = alive[rng.random_range(0..alive.len())];
        Some(say(master_message::Message::Kill(Kill {
            framework_id: Some("f".into()),
            task_id: Some(id.as_str().into()),
            kill_policy: None,
        })))
    }

    /// Launches two tasks as one group.
    fn group(&mut self, first: &str) -> MasterMessage {
        let second = format!("{first}b");
        self.tasks.insert(second.clone(), Told::default());
        let id = format!("{EXECUTOR}-of-groups");
        let launch_executor = self.executors.insert(id.clone());
        let executor = ExecutorInfo {
            executor_id: id.as_str().into(),
            r#type: Some(executor_info::Type::Default.into()),
            ..ExecutorInfo::default()
        };
        say(master_message::Message::LaunchGroup(LaunchGroup {
            framework_id: Some("f".into()),
            executor: Some(executor),
            tasks: vec![task(first, false), task(&second, false)],
            launch_executor,
            ..LaunchGroup::default()
        }))
    }

    /// The agent said something; gives the answer. While the framework is `away` nobody
    /// acknowledges.
    pub(crate) fn hear(&mut self, message: AgentMessage, away: bool) -> Option<MasterMessage> {
        match message.message.unwrap() {
            agent_message::Message::Register(register) => {
                assert!(!self.registered, "registered twice on one link");
                self.registered = true;
                let infos =
                    register.executors.iter().map(|executor| executor.info.as_ref().unwrap());
                self.executors = infos.map(|info| info.executor_id.value.clone()).collect();
                for (id, told) in &mut self.tasks {
                    let held = register
                        .tasks
                        .iter()
                        .find(|task| task.info.as_ref().unwrap().task_id.value == *id);
                    if held.is_some() {
                        assert!(!told.gone, "{id} was gone and is back");
                        continue;
                    }
                    let lost = told.end().is_none() && !told.updates.is_empty();
                    assert!(!lost, "{id} is forgotten without an end: {told:?}");
                    told.gone |= told.updates.is_empty();
                }
                Some(say(master_message::Message::Registered(Registered {
                    agent_id: Some(AGENT.into()),
                    master_id: "m".into(),
                    ping_interval_seconds: 5.0,
                })))
            }
            agent_message::Message::Update(update) => {
                assert!(self.registered, "an update before the registration");
                let status = update.status.unwrap();
                let id = status.task_id.value.clone();
                let uuid = status.uuid.clone().unwrap();
                let told = self.tasks.get_mut(&id).unwrap();
                if let Some(at) = told.updates.iter().position(|(known, _)| *known == uuid) {
                    assert_eq!(at + 1, told.updates.len(), "{id}: an old update again");
                } else {
                    assert_eq!(told.end(), None, "{id}: news after the end");
                    told.updates.push((uuid.clone(), status.state()));
                }
                let task_id = Some(status.task_id);
                let acknowledge = Acknowledge { framework_id: update.framework_id, task_id, uuid };
                (!away).then(|| say(master_message::Message::Acknowledge(acknowledge)))
            }
            agent_message::Message::ExecutorExited(exited) => {
                assert!(self.registered, "an executor's end before the registration");
                self.exits += 1;
                self.executors.remove(&exited.executor_id.unwrap().value);
                None
            }
            agent_message::Message::Pong(_) | agent_message::Message::ExecutorMessage(_) => None,
        }
    }

    /// How many tasks ended in a state.
    pub(crate) fn ends(&self, state: &str) -> usize {
        let ended = |told: &&Told| told.end().is_some_and(|end| end.as_str_name() == state);
        self.tasks.values().filter(ended).count()
    }

    /// Every task has an end, or its launch never arrived.
    pub(crate) fn assert_at_rest(&self) {
        for (id, told) in &self.tasks {
            assert!(told.gone || told.end().is_some(), "{id} has no end: {told:?}");
        }
    }

    /// Whether the master was told the end of a task.
    pub(crate) fn knows_end(&self, task: &str) -> bool {
        self.tasks[task].end().is_some()
    }
}

fn say(message: master_message::Message) -> MasterMessage {
    MasterMessage { message: Some(message) }
}

fn task(id: &str, checked: bool) -> TaskInfo {
    let scalar = |name: &str, value| Resource {
        name: name.into(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    };
    let check = HealthCheck {
        r#type: Some(health_check::Type::Command.into()),
        command: Some(CommandInfo { value: Some("true".into()), ..Default::default() }),
        ..Default::default()
    };
    TaskInfo {
        name: "task".into(),
        task_id: id.into(),
        agent_id: AGENT.into(),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        command: Some(CommandInfo { value: Some("sleep 10".into()), ..Default::default() }),
        health_check: checked.then_some(check),
        ..Default::default()
    }
}

/// Makes a task one of an executor.
fn host(task: &mut TaskInfo, executor: &str) {
    task.health_check = None;
    task.executor = Some(ExecutorInfo {
        executor_id: executor.into(),
        command: task.command.take(),
        resources: task.resources.clone(),
        ..ExecutorInfo::default()
    });
}
