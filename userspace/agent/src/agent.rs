//! The agent's logic: tasks, status updates, the link and the view, without clock,
//! socket, thread or disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use muster_resources::Resources;
use rand::Rng as _;
use rand::rngs::StdRng;

mod check;
mod checking;
mod command;
mod completion;
mod container;
mod counters;
mod executor;
mod health;
mod input;
mod kill;
mod launch;
mod link;
mod outbox;
mod output;
mod plane;
mod recovery;
mod register;
mod settings;
mod signal;
mod spec;
mod status;
mod store;
mod stream;
mod task;
#[cfg(test)]
mod testing;
mod updates;
mod view;
mod workload;

pub use check::{Family, Finding, Probe, Purpose};
pub use counters::Counters;
pub use executor::{Executor, ExecutorKey, Patience};
pub use input::{ContainerEvent, ExecutorEvent, Found, Input, LinkEvent, Timer};
pub use output::{Output, VipNews};
pub use settings::Settings;
pub(crate) use spec::{Invalid, Operated, operated, terminal};
pub(crate) use status::{News, container_id, container_name};
pub use task::{Phase, Task, TaskKey};
pub use view::View;
pub use workload::Workload;

use health::{Checker, Observer};
use link::Link;
use outbox::Outbox;
use plane::Plane;
use stream::Stream;

/// Ended tasks kept for `/state`.
const COMPLETED: usize = 200;
/// Kills of unknown tasks remembered in one session with the master.
const REFUSED: usize = 1024;

/// One machine of the cluster: a state machine. [`handle`](Self::handle) takes what
/// happened and gives what to do; the same inputs and the same seed give the same outputs.
///
/// Times are durations since the Unix epoch and never go back.
#[derive(Debug)]
pub struct Agent {
    io: Io,
    id: Option<String>,
    link: Link,
    view: View,
    plane: Plane,
    tasks: BTreeMap<TaskKey, Task>,
    /// The tasks' containers.
    containers: BTreeMap<String, TaskKey>,
    /// Containers being destroyed, with how often that has failed.
    destroying: BTreeMap<String, u32>,
    /// Containers to destroy before the master is dialled.
    orphans: BTreeSet<String>,
    /// Tasks that were to be killed before they were ever launched.
    refused: VecDeque<TaskKey>,
    completed: VecDeque<Task>,
    executors: BTreeMap<ExecutorKey, Executor>,
    /// The executors' containers.
    hosts: BTreeMap<String, ExecutorKey>,
    completed_executors: VecDeque<Executor>,
    /// Whether it knows what there was before it started.
    recovered: bool,
}

/// What every part of the agent writes to and draws from.
#[derive(Debug)]
pub(crate) struct Io {
    outbox: Outbox,
    rng: StdRng,
    settings: Settings,
    counters: Counters,
    /// Whether the master takes updates.
    registered: bool,
}

impl Agent {
    /// An agent that waits for [`Input::Recovered`]. All that is random comes from `rng`.
    pub fn new(settings: Settings, rng: StdRng) -> Self {
        Self {
            io: Io {
                outbox: Outbox::default(),
                rng,
                settings,
                counters: Counters::default(),
                registered: false,
            },
            id: None,
            link: Link::default(),
            view: View::default(),
            plane: Plane::default(),
            tasks: BTreeMap::new(),
            containers: BTreeMap::new(),
            destroying: BTreeMap::new(),
            orphans: BTreeSet::new(),
            refused: VecDeque::new(),
            completed: VecDeque::new(),
            executors: BTreeMap::new(),
            hosts: BTreeMap::new(),
            completed_executors: VecDeque::new(),
            recovered: false,
        }
    }

    /// Takes what happened at `now`; gives what to do, in order.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        match input {
            Input::Recovered { checkpoint, containers } => {
                self.recover(now, checkpoint, containers);
            }
            Input::Executor { key, event } => self.executor_event(now, &key, event),
            Input::Link { session, event } => self.link_event(now, session, event),
            Input::Container { id, event } => self.container_event(now, &id, event),
            Input::Probed { container, purpose, round, result } => {
                self.probed(now, &container, (purpose, round), result);
            }
            Input::Persisted(result) => self.persisted(now, result),
            Input::Reconciled(result) => self.plane.reconciled(&mut self.io, &self.view, result),
            Input::Timer(timer) => self.timer(now, timer),
        }
        self.io.outbox.take()
    }

    fn timer(&mut self, now: Duration, timer: Timer) {
        match timer {
            Timer::Persist => self.io.outbox.retry(),
            Timer::Resend { container, sent } => self.resend(&container, sent),
            Timer::Silence { session } => self.silence(now, session),
            Timer::Probe { container, purpose, round } => self.probe(&container, purpose, round),
            Timer::Completion { container } => self.overdue(now, &container),
            Timer::Kill { container } => self.kill_again(&container),
            Timer::Destroy { container } => self.destroy_again(container),
            Timer::Subscription { container } => self.unsubscribed(now, &container),
            Timer::Shutdown { container } => self.executor_overdue(&container),
            Timer::Reconcile => self.plane.retry(&mut self.io, &self.view),
            Timer::Read => self.plane.read(&mut self.io, &self.view),
        }
    }

    /// The id the master gave this agent, once it has.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Who the agent is.
    pub fn settings(&self) -> &Settings {
        &self.io.settings
    }

    /// Whether a master has registered it and the link is up.
    pub fn registered(&self) -> bool {
        self.io.registered
    }

    /// What it knows about the cluster.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What it has counted since it started.
    pub fn counters(&self) -> &Counters {
        &self.io.counters
    }

    /// Why it accepts no tasks, if it does not: the store's last error.
    pub fn store_failure(&self) -> Option<&str> {
        self.io.outbox.failure()
    }

    /// How many rows of its checkpoints are not on disk yet.
    pub fn unwritten(&self) -> usize {
        self.io.outbox.unwritten()
    }

    /// The tasks it has not forgotten.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values()
    }

    /// The last tasks it has forgotten, oldest first.
    pub fn completed(&self) -> impl Iterator<Item = &Task> {
        self.completed.iter()
    }

    /// Whether it knows what there was before it started.
    pub fn recovered(&self) -> bool {
        self.recovered
    }

    /// The executors that have not ended.
    pub fn executors(&self) -> impl Iterator<Item = &Executor> {
        self.executors.values()
    }

    /// One of those.
    pub fn executor(&self, key: &ExecutorKey) -> Option<&Executor> {
        self.executors.get(key)
    }

    /// The last executors that have ended, oldest first.
    pub fn completed_executors(&self) -> impl Iterator<Item = &Executor> {
        self.completed_executors.iter()
    }

    /// Whether this is the container of one of its tasks or executors.
    pub(crate) fn has_container(&self, name: &str) -> bool {
        self.containers.contains_key(name)
            || self.hosts.contains_key(name)
            || self.destroying.contains_key(name)
    }

    /// What its tasks and executors hold.
    pub fn used(&self) -> Resources {
        let tasks = self.tasks.values().filter(|task| task.phase != Phase::Ended);
        let tasks = tasks.map(|task| &task.resources);
        let held = tasks.chain(self.executors.values().map(|executor| &executor.resources));
        held.fold(Resources::default(), |sum, resources| sum + resources.clone())
    }

    /// The containers whose sandboxes are in use.
    pub fn live(&self) -> BTreeSet<String> {
        let live = self.tasks.values().filter(|task| task.phase != Phase::Ended);
        let live = live.map(|task| task.container.clone());
        live.chain(self.hosts.keys().cloned()).collect()
    }

    fn by_container(&mut self, container: &str) -> Option<&mut Task> {
        self.tasks.get_mut(self.containers.get(container)?)
    }

    fn insert(&mut self, task: Task) {
        self.containers.insert(task.container.clone(), task.key());
        self.tasks.insert(task.key(), task);
    }

    /// Nobody will ask for this task again.
    fn forget(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.remove(key) else { return };
        self.containers.remove(&task.container);
        task.erase(&mut self.io);
        let state = task.status.state();
        tracing::info!(task = key.task, state = state.as_str_name(), "forgotten: acknowledged");
        if self.completed.len() == COMPLETED {
            self.completed.pop_front();
        }
        self.completed.push_back(task);
    }
}

impl Io {
    /// A random id for a container.
    fn draw_id(&mut self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}
