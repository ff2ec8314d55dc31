//! A model of a master and its agents: what Mesos promises of them, and no more.

mod faults;
mod look;

use std::collections::{BTreeMap, VecDeque};

use muster_api::TaskStateExt as _;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{Offer, TaskInfo, TaskState, TaskStatus};
use muster_resources::Resources;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::world::launched;

/// Draws one in `n`.
pub(super) fn one_in(rng: &mut ChaCha8Rng, n: u64) -> bool {
    rng.next_u64().is_multiple_of(n)
}

/// Draws below `n`.
pub(super) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(n).unwrap()).unwrap()
}

/// A task on its agent.
struct Running {
    info: TaskInfo,
    state: TaskState,
    /// Updates not acknowledged yet, the first of which is sent again and again.
    updates: VecDeque<TaskStatus>,
}

#[derive(Default)]
struct Agent {
    tasks: BTreeMap<String, Running>,
    reachable: bool,
    /// Whether the master of now has heard of it.
    registered: bool,
}

/// A task as the master knows it.
struct Known {
    agent: usize,
    state: TaskState,
    resources: Resources,
}

/// A master, its agents, and what is said to the framework.
pub(super) struct Cluster {
    agents: Vec<Agent>,
    tasks: BTreeMap<String, Known>,
    offers: BTreeMap<String, (usize, Resources)>,
    subscribed: bool,
    suppressed: bool,
    numbers: u64,
    /// Every task that an agent ever started.
    started: Vec<TaskInfo>,
    pub(super) said: VecDeque<Event>,
    /// Whether messages between the master and agents may get lost.
    pub(super) lossy: bool,
}

impl Cluster {
    pub(super) fn new(agents: usize) -> Self {
        let agent = || Agent { reachable: true, registered: true, ..Agent::default() };
        Self {
            agents: (0..agents).map(|_| agent()).collect(),
            tasks: BTreeMap::new(),
            offers: BTreeMap::new(),
            subscribed: false,
            suppressed: true,
            numbers: 0,
            started: Vec::new(),
            said: VecDeque::new(),
            lossy: false,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn say(&mut self, event: Event) {
        if self.subscribed {
            self.said.push_back(event);
        }
    }

    fn say_update(&mut self, status: TaskStatus) {
        self.say(Event {
            r#type: Some(event::Type::Update.into()),
            update: Some(event::Update { status }),
            ..Default::default()
        });
    }

    /// A status of the master's own: it is not acknowledged.
    fn say_state(&mut self, task: &str, agent: &str, state: TaskState, reason: Reason) {
        let mut status = TaskStatus {
            task_id: task.into(),
            state: state.into(),
            agent_id: Some(agent.into()),
            ..Default::default()
        };
        status.set_reason(reason);
        self.say_update(status);
    }

    // === What the framework says ===

    pub(super) fn hear(&mut self, call: Call, rng: &mut ChaCha8Rng) {
        match call.r#type() {
            call::Type::Subscribe => {
                self.offers.clear();
                self.subscribed = true;
                self.suppressed = !call.subscribe.unwrap().suppressed_roles.is_empty();
                self.say(Event {
                    r#type: Some(event::Type::Subscribed.into()),
                    subscribed: Some(event::Subscribed {
                        framework_id: "f".into(),
                        ..Default::default()
                    }),
                    ..Default::default()
                });
            }
            call::Type::Accept => self.accept(&call, rng),
            call::Type::Decline => {
                for id in call.decline.unwrap().offer_ids {
                    self.offers.remove(&id.value);
                }
            }
            call::Type::Revive => self.suppressed = false,
            call::Type::Suppress => self.suppressed = true,
            call::Type::Kill => {
                let kill = call.kill.unwrap();
                self.kill(&kill.task_id.value, kill.agent_id.map(|id| id.value), rng);
            }
            call::Type::Acknowledge => {
                let acknowledge = call.acknowledge.unwrap();
                self.acknowledge(&acknowledge.task_id.value, &acknowledge.uuid, rng);
            }
            call::Type::Reconcile => {
                let tasks = call.reconcile.unwrap().tasks;
                if tasks.is_empty() {
                    for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
                        self.reconcile(&id, None);
                    }
                }
                for task in tasks {
                    self.reconcile(&task.task_id.value, task.agent_id.map(|id| id.value));
                }
            }
            other => panic!("the framework says {other:?}"),
        }
    }

    fn accept(&mut self, call: &Call, rng: &mut ChaCha8Rng) {
        let id = call.accept.as_ref().unwrap().offer_ids[0].value.clone();
        let Some((agent, mut left)) = self.offers.remove(&id) else {
            for task in launched(call) {
                let (id, agent) = (task.task_id.value, task.agent_id.value);
                self.say_state(&id, &agent, TaskState::TaskDropped, Reason::InvalidOffers);
            }
            return;
        };
        for task in launched(call) {
            let id = task.task_id.value.clone();
            assert_eq!(task.agent_id.value, name(agent));
            assert!(!self.tasks.contains_key(&id), "{id} is launched twice");
            assert!(self.started.iter().all(|old| old.task_id.value != id), "{id} comes back");
            let resources = Resources::from_proto(&task.resources).unwrap();
            assert!(left.contains(&resources), "{id} takes more than there is");
            left -= &resources;
            let known = Known { agent, state: TaskState::TaskStaging, resources };
            self.tasks.insert(id.clone(), known);
            if self.is_lost(agent, rng) {
                continue;
            }
            self.started.push(task.clone());
            let running =
                Running { info: task, state: TaskState::TaskStaging, updates: VecDeque::new() };
            self.agents[agent].tasks.insert(id, running);
        }
    }

    fn kill(&mut self, id: &str, agent: Option<String>, rng: &mut ChaCha8Rng) {
        let Some(known) = self.tasks.get(id) else {
            self.reconcile(id, agent);
            return;
        };
        let agent = known.agent;
        if self.is_lost(agent, rng) {
            return;
        }
        let alive = self.agents[agent].tasks.get(id).is_some_and(|t| !t.state.is_terminal());
        if alive {
            self.report(agent, id, TaskState::TaskKilled);
        }
    }

    fn acknowledge(&mut self, id: &str, uuid: &[u8], rng: &mut ChaCha8Rng) {
        let Some(agent) = self.agents.iter().position(|agent| agent.tasks.contains_key(id)) else {
            return;
        };
        if self.is_lost(agent, rng) {
            return;
        }
        let Some(task) = self.agents[agent].tasks.get_mut(id) else { return };
        if task.updates.front().is_some_and(|first| first.uuid.as_deref() == Some(uuid)) {
            let update = task.updates.pop_front().unwrap();
            if update.state().is_terminal() {
                self.agents[agent].tasks.remove(id);
                self.tasks.remove(id);
            }
        }
    }

    fn reconcile(&mut self, id: &str, agent: Option<String>) {
        if let Some(known) = self.tasks.get(id) {
            let (agent, state) = (known.agent, known.state);
            self.say_state(id, &name(agent), state, Reason::Reconciliation);
            return;
        }
        let Some(agent) = agent else { return };
        let index: usize = agent.parse().unwrap();
        // The master keeps quiet about what it cannot know yet.
        if self.agents[index].registered {
            self.say_state(id, &agent, TaskState::TaskGone, Reason::Reconciliation);
        }
    }

    fn is_lost(&self, agent: usize, rng: &mut ChaCha8Rng) -> bool {
        !self.agents[agent].reachable
            || !self.agents[agent].registered
            || (self.lossy && one_in(rng, 6))
    }

    // === What happens by itself ===

    /// Offers what some agents have left.
    pub(super) fn offer(&mut self, rng: &mut ChaCha8Rng) {
        if !self.subscribed || self.suppressed {
            return;
        }
        let mut offers = Vec::new();
        for agent in 0..self.agents.len() {
            let there = self.agents[agent].reachable && self.agents[agent].registered;
            let offered = self.offers.values().any(|(to, _)| *to == agent);
            if !there || offered || one_in(rng, 3) {
                continue;
            }
            let total = "cpus:4;mem:4096;disk:1000;ports:[31000-31049]";
            let mut left = Resources::parse(total).unwrap();
            for known in self.tasks.values().filter(|k| k.agent == agent) {
                left -= &known.resources;
            }
            let id = format!("O{}", self.number());
            offers.push(Offer {
                id: id.as_str().into(),
                agent_id: name(agent).into(),
                hostname: format!("host{agent}"),
                resources: left.to_proto(),
                ..Default::default()
            });
            self.offers.insert(id, (agent, left));
        }
        if !offers.is_empty() {
            self.say(Event {
                r#type: Some(event::Type::Offers.into()),
                offers: Some(event::Offers { offers }),
                ..Default::default()
            });
        }
    }

    /// Takes some offers back; the framework may have used them meanwhile.
    pub(super) fn rescind(&mut self, rng: &mut ChaCha8Rng) {
        let Some(id) = self.offers.keys().next().cloned().filter(|_| one_in(rng, 2)) else {
            return;
        };
        self.offers.remove(&id);
        self.say(Event {
            r#type: Some(event::Type::Rescind.into()),
            rescind: Some(event::Rescind { offer_id: id.into() }),
            ..Default::default()
        });
    }

    /// Tasks come up, and with `failing` go down.
    pub(super) fn run(&mut self, rng: &mut ChaCha8Rng, failing: bool) {
        for agent in 0..self.agents.len() {
            for (id, state) in self.states(agent) {
                let next = match state {
                    TaskState::TaskStaging if one_in(rng, 2) => TaskState::TaskStarting,
                    TaskState::TaskStaging | TaskState::TaskStarting if one_in(rng, 2) => {
                        TaskState::TaskRunning
                    }
                    TaskState::TaskRunning if failing && one_in(rng, 40) => {
                        [TaskState::TaskFailed, TaskState::TaskFinished][below(rng, 2)]
                    }
                    _ => continue,
                };
                self.report(agent, &id, next);
            }
        }
    }

    /// The agent notes a new state, to be told until it is acknowledged.
    fn report(&mut self, agent: usize, id: &str, state: TaskState) {
        let number = self.number();
        let task = self.agents[agent].tasks.get_mut(id).unwrap();
        assert!(!task.state.is_terminal());
        task.state = state;
        task.updates.push_back(TaskStatus {
            task_id: id.into(),
            state: state.into(),
            agent_id: Some(name(agent).into()),
            uuid: Some(number.to_be_bytes().to_vec()),
            ..Default::default()
        });
    }

    /// Agents tell what is not acknowledged, some of it not for the first time.
    pub(super) fn tell(&mut self, rng: &mut ChaCha8Rng, all: bool) {
        for agent in 0..self.agents.len() {
            if !self.agents[agent].reachable || !self.agents[agent].registered {
                continue;
            }
            for (id, _) in self.states(agent) {
                let task = &self.agents[agent].tasks[&id];
                let Some(update) = task.updates.front().cloned() else { continue };
                if !all && (one_in(rng, 2) || (self.lossy && one_in(rng, 4))) {
                    continue;
                }
                if let Some(known) = self.tasks.get_mut(&id) {
                    known.state = task.state;
                }
                self.say_update(update);
            }
        }
    }

    fn states(&self, agent: usize) -> Vec<(String, TaskState)> {
        let tasks = &self.agents[agent].tasks;
        tasks.iter().map(|(id, task)| (id.clone(), task.state)).collect()
    }
}

/// Agents are called by their number.
fn name(agent: usize) -> String {
    agent.to_string()
}
