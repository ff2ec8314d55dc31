//! The kernel: agents, frameworks, offers and tasks as one state machine.
//!
//! [`Master::handle`] takes one input at a virtual time and changes the state;
//! [`Master::settle`] ends a step: it allocates if something asked for it, brings the
//! cluster view up to date and hands out what must be written and then said. Nothing
//! in here knows a clock, a socket or a disk.

mod agents;
mod allocation;
mod change;
mod executors;
mod frameworks;
mod groups;
mod inverse;
mod launch;
mod maintenance;
mod model;
mod offers;
mod options;
mod quotas;
mod restore;
mod roles;
mod staging;
mod tasks;
mod ticks;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_allocator::Allocator;
use muster_api::mesos::MasterInfo;
use muster_api::mesos::scheduler::{Call, Event};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{ExecutorExited, ExecutorMessage, Register, StatusUpdate};
use muster_network::vip::Pool;
use muster_store::Batch;

pub use change::{Change, Refusal, RequestId};
pub use executors::{Executor, ExecutorKey};
pub use model::{Agent, Completed, Framework, Liveness, Offer, Task, TaskKey};
pub(crate) use offers::message as offer_message;
pub use options::Options;
pub use roles::RoleUse;

use self::maintenance::Maintenance;
use crate::Error;
use crate::registry::Registry;
use crate::view::View;

/// One stream of one agent. A number is never used twice.
pub type LinkId = u64;
/// One subscription of one framework. A number is never used twice.
pub type ConnectionId = u64;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// An agent opened a link and told who it is.
    Register {
        /// The new link.
        link: LinkId,
        /// What the agent says.
        register: Box<Register>,
    },
    /// A task of an agent changed its state, or the agent repeats that it did.
    Update {
        /// The agent's link.
        link: LinkId,
        /// The news.
        update: Box<StatusUpdate>,
    },
    /// An executor of an agent says something to its framework.
    ExecutorMessage {
        /// The agent's link.
        link: LinkId,
        /// What it says.
        message: Box<ExecutorMessage>,
    },
    /// An executor of an agent has ended.
    ExecutorExited {
        /// The agent's link.
        link: LinkId,
        /// Which, and how.
        exited: Box<ExecutorExited>,
    },
    /// An agent answered a ping.
    Pong {
        /// The agent's link.
        link: LinkId,
    },
    /// A link broke, or the agent closed it.
    LinkClosed {
        /// The link.
        link: LinkId,
    },
    /// A framework says something.
    Call {
        /// Its subscription.
        connection: ConnectionId,
        /// What it says.
        call: Box<Call>,
    },
    /// A framework's subscription ended.
    ConnectionClosed {
        /// The subscription.
        connection: ConnectionId,
    },
    /// An operator wants something changed.
    Change {
        /// The request, for the answer.
        request: RequestId,
        /// What is to change.
        change: Box<Change>,
    },
    /// The machines that may be offered have been named anew; `None` is all.
    Whitelist(Option<BTreeSet<String>>),
    /// Time has passed.
    Tick,
}

/// Something to be carried out, after what the step writes is on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Say something to an agent.
    ToAgent(LinkId, Box<ToAgent>),
    /// End a link, after what was said before.
    CloseLink(LinkId),
    /// Say something to a framework.
    ToScheduler(ConnectionId, Box<Event>),
    /// End a subscription, after what was said before.
    CloseConnection(ConnectionId),
    /// Tell an operator that the change is made, or why not.
    Answer(RequestId, Result<(), Refusal>),
}

/// What a step leaves to do: first the writes, all together, then the outputs in order.
#[derive(Debug, Default)]
pub struct Step {
    /// Rows of the registry.
    pub batch: Batch,
    /// What to say once they are on disk.
    pub outputs: Vec<Output>,
}

impl Step {
    fn tell_agent(&mut self, link: LinkId, message: ToAgent) {
        self.outputs.push(Output::ToAgent(link, Box::new(message)));
    }
}

/// Counts since the start, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Offers made.
    pub offers: u64,
    /// Tasks launched.
    pub launched: u64,
    /// Tasks refused.
    pub errors: u64,
    /// Status updates received from agents.
    pub updates: u64,
    /// Agents registered for the first time.
    pub registrations: u64,
    /// Agents that came back.
    pub reregistrations: u64,
    /// Agents given up.
    pub unreachable: u64,
}

/// The state.
#[derive(Debug)]
pub struct Master {
    options: Options,
    info: MasterInfo,
    started: Duration,
    allocator: Allocator,
    agents: BTreeMap<String, Agent>,
    frameworks: BTreeMap<String, Framework>,
    tasks: BTreeMap<TaskKey, Task>,
    /// The tasks of each agent that has any.
    tasks_by_agent: BTreeMap<String, BTreeSet<TaskKey>>,
    executors: BTreeMap<ExecutorKey, Executor>,
    offers: BTreeMap<String, Offer>,
    /// Of roles whose weight was ever set.
    weights: BTreeMap<String, f64>,
    maintenance: Maintenance,
    links: BTreeMap<LinkId, String>,
    connections: BTreeMap<ConnectionId, String>,
    view: View,
    pool: Pool,
    next_id: Sequences,
    counters: Counters,
    /// The last allocation of all that is free.
    last_allocation: Duration,
    /// Whether one is due.
    allocate: bool,
    /// Tasks whose place in the view must be looked at again.
    restated: BTreeSet<TaskKey>,
    step: Step,
}

#[derive(Debug, Default)]
struct Sequences {
    framework: u64,
    agent: u64,
    offer: u64,
}

impl Master {
    /// A master that remembers `registry`.
    ///
    /// # Errors
    /// [`Error::Vip`] and [`Error::Row`] when the registry contradicts itself.
    pub fn new(mut options: Options, registry: Registry, now: Duration) -> Result<Self, Error> {
        let mut pool = Pool::default();
        for (service, address) in &registry.vips {
            pool.restore(service, *address)?;
        }
        let fault_domain = options.domain.as_ref().and_then(|domain| domain.fault_domain.as_ref());
        options.allocator.region = fault_domain.map(|domain| domain.region.name.clone());
        let info = MasterInfo {
            id: options.master_id.clone(),
            // Deprecated, and only IPv4 fits; Mesos fills it in network order.
            ip: match options.address.ip() {
                std::net::IpAddr::V4(ip) => u32::from_ne_bytes(ip.octets()),
                std::net::IpAddr::V6(_) => 0,
            },
            port: options.address.port().into(),
            hostname: Some(options.hostname.clone()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            address: Some(muster_api::mesos::Address {
                hostname: Some(options.hostname.clone()),
                ip: Some(options.address.ip().to_string()),
                port: options.address.port().into(),
            }),
            domain: options.domain.clone(),
            ..MasterInfo::default()
        };
        let mut master = Self {
            info,
            started: now,
            allocator: Allocator::new(options.allocator.clone()),
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            tasks_by_agent: BTreeMap::new(),
            executors: BTreeMap::new(),
            offers: BTreeMap::new(),
            weights: BTreeMap::new(),
            maintenance: Maintenance::default(),
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            view: View::new(options.master_id.clone(), options.address.ip()),
            pool,
            next_id: Sequences::default(),
            counters: Counters::default(),
            last_allocation: now,
            allocate: false,
            restated: BTreeSet::new(),
            step: Step::default(),
            options,
        };
        master.restore(registry, now)?;
        Ok(master)
    }

    /// Takes in one input.
    pub fn handle(&mut self, now: Duration, input: Input) {
        match input {
            Input::Register { link, register } => self.register(now, link, *register),
            Input::Update { link, update } => self.update(link, *update),
            Input::ExecutorMessage { link, message } => self.executor_message(link, *message),
            Input::ExecutorExited { link, exited } => self.executor_exited(link, &exited),
            Input::Pong { link } => self.pong(link),
            Input::LinkClosed { link } => self.link_closed(now, link),
            Input::Call { connection, call } => self.call(now, connection, *call),
            Input::ConnectionClosed { connection } => self.connection_closed(now, connection),
            Input::Change { request, change } => self.change(now, request, *change),
            Input::Whitelist(hostnames) => self.allocator.update_whitelist(hostnames),
            Input::Tick => self.tick(now),
        }
    }

    /// Whether [`Master::allocate`] has anything to do: it is time for it, or something
    /// happened that should not wait until then.
    pub fn wants_allocation(&self) -> bool {
        self.allocate || self.allocator.has_candidates()
    }

    /// Notes how long an allocation was waited for, and how long it took: there is no clock in
    /// here.
    pub fn note_allocation(&mut self, now: Duration, latency: Duration, run: Duration) {
        self.allocator.note_run(now, latency, run);
    }

    /// Ends a step that took in any number of inputs.
    pub fn settle(&mut self, now: Duration) -> Step {
        self.allocate(now);
        for key in std::mem::take(&mut self.restated) {
            self.restate(&key);
        }
        if let Some(delta) = self.view.flush() {
            for link in self.links.keys() {
                self.step.tell_agent(*link, ToAgent::Delta(delta.clone()));
            }
        }
        std::mem::take(&mut self.step)
    }

    /// Agents by id.
    pub fn agents(&self) -> &BTreeMap<String, Agent> {
        &self.agents
    }

    /// Frameworks by id, completed ones included.
    pub fn frameworks(&self) -> &BTreeMap<String, Framework> {
        &self.frameworks
    }

    /// Tasks that are not both terminal and acknowledged.
    pub fn tasks(&self) -> &BTreeMap<TaskKey, Task> {
        &self.tasks
    }

    /// The tasks of one agent.
    pub fn tasks_on(&self, agent: &str) -> impl Iterator<Item = &Task> {
        self.tasks_by_agent.get(agent).into_iter().flatten().filter_map(|key| self.tasks.get(key))
    }

    /// Outstanding offers by id.
    pub fn offers(&self) -> &BTreeMap<String, Offer> {
        &self.offers
    }

    /// The allocator, for its shares.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// The cluster view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Who this master is.
    pub fn info(&self) -> &MasterInfo {
        &self.info
    }

    /// The options it runs with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Since 1970.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// What happened how often.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn say_to_agent(&mut self, agent: &str, message: ToAgent) -> bool {
        let Some(link) = self.agents.get(agent).and_then(|agent| agent.link) else { return false };
        self.step.tell_agent(link, message);
        true
    }

    fn say_to_framework(&mut self, framework: &str, event: Event) -> bool {
        let connection = self.frameworks.get(framework).and_then(|f| f.connection);
        let Some(connection) = connection else { return false };
        self.step.outputs.push(Output::ToScheduler(connection, Box::new(event)));
        true
    }
}
