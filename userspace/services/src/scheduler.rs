//! The core: a state machine that keeps applications running.
//!
//! Inputs are events from the master, requests of users, and the passing of time; outputs
//! are changes to the store, calls to the master, and answers. Nothing here reads a clock,
//! waits, or talks to anyone.
//!
//! **Order.** Outputs are to be carried out in order, each before the next: a change to
//! the store is durable before any call or answer that follows from it goes out. So a
//! task is on record before the ACCEPT that launches it, and an update before it is
//! acknowledged. If that is kept, a crash between any two outputs loses nothing that
//! anyone was told.
//!
//! **Counting.** An instance on record counts until it is known to have ended. After a
//! restart the master is asked about each of them, and until it answers nothing is
//! launched in their place. A task that is not on record is killed. Together they make it
//! exactly as many as asked for.

mod deploy;
mod effects;
mod launching;
mod offers;
mod readiness;
mod settle;
mod subscription;
mod timers;
mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_api::mesos::scheduler::{Event, event};
use muster_store::Batch;

pub use effects::{Check, Output, RequestId};
pub use readiness::{Answer, Readiness};

pub(crate) use self::deploy::{Change, Epoch};
use self::effects::Effects;
pub(crate) use self::launching::{Delay, Launch};
use self::subscription::Link;
use self::timers::{Timer, Timers};
use crate::app::{App, AppId};
use crate::config::Config;
use crate::deployment::Deployment;
use crate::fleet::Fleet;
use crate::ids::IdSource;
use crate::instance::InstanceId;
use crate::records::{Failure, Records};
use crate::request::Request;
use crate::timestamp::Timestamp;

/// What happens to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// There is a connection to the master; nothing has been said on it yet.
    Connected,
    /// The connection is gone.
    Disconnected,
    /// The master said something.
    Event(Box<Event>),
    /// A user asks for something. The answer carries the same id.
    Request(RequestId, Box<Request>),
    /// A readiness check has been made.
    Checked {
        /// Of which instance.
        instance: InstanceId,
        /// The answer, or why there is none.
        result: Result<Answer, String>,
    },
    /// Time has passed: see [`Scheduler::next_deadline`].
    Tick,
}

/// The versions of an application.
#[derive(Debug)]
pub(crate) struct Versions {
    pub(crate) current: Arc<App>,
    pub(crate) all: BTreeMap<Timestamp, Arc<App>>,
}

/// The state machine.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: Config,
    pub(crate) ids: IdSource,
    /// The time of the input being handled; never goes back.
    pub(crate) now: Timestamp,
    pub(crate) framework_id: Option<String>,
    pub(crate) apps: BTreeMap<AppId, Versions>,
    pub(crate) fleet: Fleet,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) failures: BTreeMap<AppId, Failure>,
    /// What waits to be launched.
    pub(crate) queue: BTreeMap<AppId, Launch>,
    pub(crate) delays: BTreeMap<AppId, Delay>,
    /// What readiness checks have found of the instances that there are.
    readiness: BTreeMap<InstanceId, Readiness>,
    link: Link,
    timers: Timers,
    /// Applications to plan again before the current input is done with.
    dirty: BTreeSet<AppId>,
    /// Whether each application's last plan was done.
    progress: BTreeMap<AppId, bool>,
    effects: Effects,
}

impl Scheduler {
    /// A core that goes on from what is on record. `seed` must differ from run to run.
    pub fn new(config: Config, records: Records, seed: [u8; 32], now: Timestamp) -> Self {
        let mut scheduler = Self {
            config,
            ids: IdSource::new(seed),
            now,
            framework_id: records.framework_id,
            apps: BTreeMap::new(),
            fleet: Fleet::default(),
            deployments: BTreeMap::new(),
            failures: BTreeMap::new(),
            queue: BTreeMap::new(),
            delays: BTreeMap::new(),
            readiness: BTreeMap::new(),
            link: Link::default(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            progress: BTreeMap::new(),
            effects: Effects::default(),
        };
        for (id, (current, versions)) in records.apps {
            let all: BTreeMap<_, _> =
                versions.into_iter().map(|(version, app)| (version, Arc::new(app))).collect();
            if let Some(current) = all.get(&current).cloned() {
                scheduler.dirty.insert(id.clone());
                scheduler.apps.insert(id, Versions { current, all });
            }
        }
        for instance in records.instances {
            scheduler.dirty.insert(instance.id.app().clone());
            if instance.ready == Some(false) {
                scheduler.timers.set(now, Timer::Readiness(instance.id.clone()));
            }
            scheduler.fleet.insert(instance);
        }
        for deployment in records.deployments {
            scheduler.dirty.extend(deployment.original.keys().cloned());
            scheduler.deployments.insert(deployment.id.clone(), deployment);
        }
        scheduler.failures = records.failures.into_iter().map(|f| (f.app_id.clone(), f)).collect();
        scheduler
    }

    /// Takes in one input at the time `now` and returns what is to be done, in order.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        self.now = self.now.max(now);
        match input {
            Input::Connected => self.subscribe(),
            Input::Disconnected => self.disconnected(),
            Input::Event(event) => self.event(*event),
            Input::Request(id, request) => {
                let reply = self.serve(*request);
                self.effects.reply(id, reply);
            }
            Input::Checked { instance, result } => self.checked(&instance, result),
            Input::Tick => {}
        }
        for timer in self.timers.due(self.now) {
            self.fire(timer);
        }
        self.settle();
        self.signal_demand();
        self.effects.take()
    }

    /// When [`Input::Tick`] is next needed.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    fn event(&mut self, event: Event) {
        match event.r#type() {
            event::Type::Subscribed => {
                if let Some(subscribed) = event.subscribed {
                    self.subscribed(&subscribed);
                }
            }
            event::Type::Offers => {
                if let Some(offers) = event.offers {
                    self.offered(&offers.offers);
                }
            }
            event::Type::Update => {
                if let Some(update) = event.update {
                    self.updated(&update.status);
                }
            }
            event::Type::Error => {
                if let Some(error) = event.error {
                    self.refused(&error);
                }
            }
            // Offers are answered at once, so that there are none that could be rescinded;
            // what a failure means for tasks comes as updates; nothing here has executors
            // of its own, operations, or plans for maintenance.
            event::Type::Rescind
            | event::Type::InverseOffers
            | event::Type::RescindInverseOffer
            | event::Type::UpdateOperationStatus
            | event::Type::Message
            | event::Type::Failure
            | event::Type::Heartbeat
            | event::Type::Unknown => {}
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Plan(app) => {
                self.dirty.insert(app);
            }
            Timer::Kill(instance) => self.kill_again(&instance),
            Timer::Readiness(instance) => self.check_readiness(&instance),
            Timer::Launch(app) => {
                if let Some(launch) = self.queue.get_mut(&app) {
                    launch.is_new = true;
                }
            }
            Timer::Signal => {}
            Timer::Reconcile => self.reconcile(),
            Timer::Confirm => self.reconcile_unconfirmed(),
            Timer::Subscribe => self.subscribe(),
        }
    }

    pub(crate) fn changes(&mut self) -> &mut Batch {
        &mut self.effects.changes
    }
}
