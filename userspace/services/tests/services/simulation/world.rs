//! The world around the core: who does what next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use muster_api::mesos::scheduler::Call;
use muster_services::app::AppId;
use muster_services::records::Records;
use muster_services::reply::{Body, Reply};
use muster_services::request::{Embed, Kill, Request};
use muster_services::scheduler::{Input, Output, Scheduler};
use muster_services::{Config, Timestamp};
use muster_store::{Memory, Store as _};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::cluster::{Cluster, below, one_in};
use super::promises::{Promises, Wanted};

/// What may go wrong.
#[derive(Clone, Copy)]
pub(super) struct Faults {
    /// The services process dies between any two of its outputs.
    pub(super) crash: bool,
    /// The connection to the master breaks.
    pub(super) disconnect: bool,
    /// The master is replaced.
    pub(super) failover: bool,
    /// Agents go out of reach.
    pub(super) partition: bool,
    /// Messages between master and agents get lost.
    pub(super) loss: bool,
    /// Tasks end by themselves; offers are taken back.
    pub(super) churn: bool,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        crash: false,
        disconnect: false,
        failover: false,
        partition: false,
        loss: false,
        churn: false,
    };
    pub(super) const ALL: Self = Self {
        crash: true,
        disconnect: true,
        failover: true,
        partition: true,
        loss: true,
        churn: true,
    };
}

const APPS: [&str; 3] = ["a", "b", "c"];

pub(super) struct World {
    rng: ChaCha8Rng,
    now: Timestamp,
    store: Memory,
    core: Scheduler,
    runs: u8,
    connected: bool,
    to_master: VecDeque<Call>,
    pub(super) cluster: Cluster,
    faults: Faults,
    promises: Promises,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let now = Timestamp::from_millis(crate::world::START);
        let mut cluster = Cluster::new(4);
        cluster.lossy = faults.loss;
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now,
            store: Memory::default(),
            core: Scheduler::new(config(), Records::default(), [0; 32], now),
            runs: 0,
            connected: false,
            to_master: VecDeque::new(),
            cluster,
            faults,
            promises: Promises::default(),
        }
    }

    /// Creates an application, in spite of everything.
    pub(super) fn create(&mut self, app: &str, instances: u32) {
        let request = put(app, json!({"cmd": "v0", "cpus": 0.1, "mem": 1, "instances": instances}));
        while self.promises.possible(app) != [Some((instances, "v0".to_owned()))] {
            self.ask(app, request.clone(), |_| Some((instances, "v0".to_owned())));
        }
    }

    /// Hands an input to the core and carries out what follows, unless it dies meanwhile.
    fn feed(&mut self, input: Input) -> Option<Reply> {
        let outputs = self.core.handle(self.now, input);
        let mut answer = None;
        for output in outputs {
            if self.faults.crash && one_in(&mut self.rng, 25) {
                self.crash();
                return None;
            }
            match output {
                Output::Store(batch) => self.store.commit(batch).unwrap(),
                Output::Call(call) => self.to_master.push_back(*call),
                Output::Reply(_, reply) => answer = Some(reply),
                Output::Check(check) => unreachable!("nothing here has one: {check:?}"),
            }
        }
        answer
    }

    fn crash(&mut self) {
        self.cut();
        self.runs += 1;
        let records = Records::load(&self.store).unwrap();
        self.core = Scheduler::new(config(), records, [self.runs; 32], self.now);
    }

    /// The connection breaks: of what was on its way, some still arrives.
    fn cut(&mut self) {
        self.connected = false;
        let arriving = below(&mut self.rng, self.to_master.len() + 1);
        for call in self.to_master.drain(..).take(arriving).collect::<Vec<_>>() {
            self.cluster.hear(call, &mut self.rng);
        }
        self.cluster.disconnect();
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        if one_in(&mut self.rng, 12) {
            self.use_it();
        } else {
            self.step_without_users();
        }
    }

    pub(super) fn step_without_users(&mut self) {
        let faults = self.faults;
        match below(&mut self.rng, 100) {
            0..30 => self.deliver_call(),
            30..60 => self.deliver_event(),
            60..70 => {
                let failing = faults.churn;
                self.cluster.run(&mut self.rng, failing);
                self.cluster.tell(&mut self.rng, false);
            }
            70..80 => self.cluster.offer(&mut self.rng),
            80..90 => {
                let millis = below(&mut self.rng, 3000);
                self.pass(Duration::from_millis(millis.try_into().unwrap()));
            }
            90 if faults.churn => self.cluster.rescind(&mut self.rng),
            91 if faults.disconnect => {
                self.cut();
                self.feed(Input::Disconnected);
            }
            92 if faults.failover && one_in(&mut self.rng, 3) => {
                self.cut();
                self.cluster.replace_master();
                self.feed(Input::Disconnected);
            }
            93 if faults.partition => self.cluster.partition(&mut self.rng),
            94..97 => self.cluster.register(&mut self.rng, false),
            _ => {}
        }
    }

    fn deliver_call(&mut self) {
        if !self.connected {
            self.connected = true;
            self.feed(Input::Connected);
        } else if let Some(call) = self.to_master.pop_front() {
            self.cluster.hear(call, &mut self.rng);
        }
    }

    fn deliver_event(&mut self) {
        if let Some(event) = self.cluster.said.pop_front().filter(|_| self.connected) {
            self.feed(Input::Event(Box::new(event)));
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
        if self.core.next_deadline().is_some_and(|at| at <= self.now) {
            self.feed(Input::Tick);
        }
    }

    /// A user does something.
    fn use_it(&mut self) {
        let app = APPS[below(&mut self.rng, APPS.len())];
        let id = AppId::resolve(app);
        let instances = u32::try_from(below(&mut self.rng, 7)).unwrap();
        let version = format!("v{}", below(&mut self.rng, 3));
        let same = |before: &Wanted| before.clone();
        match below(&mut self.rng, 10) {
            0..3 => {
                let body = json!({"cmd": version, "cpus": 0.1, "mem": 1, "instances": instances});
                self.ask(app, put(app, body), |_| Some((instances, version.clone())));
            }
            3..5 => {
                // A number alone is not enough to create one.
                let scale = put(app, json!({"instances": instances}));
                self.ask(app, scale, |before| {
                    before.clone().map(|(_, version)| (instances, version))
                });
            }
            5..7 => {
                let update = put(app, json!({"cmd": version, "cpus": 0.1, "mem": 1}));
                self.ask(app, update, |before| {
                    Some((before.as_ref().map_or(1, |(count, _)| *count), version.clone()))
                });
            }
            7 => self.ask(app, Request::DeleteApp { id, force: true }, |_| None),
            8 => self.ask(app, Request::RestartApp { id, force: true }, same),
            _ => {
                let kill = Kill::default();
                self.ask(app, Request::KillAppTasks { id, host: None, kill }, same);
            }
        }
    }

    /// Asks for something that makes of the application as it is what `wanted` says.
    fn ask(&mut self, app: &str, request: Request, wanted: impl Fn(&Wanted) -> Wanted) {
        let before = self.state(app);
        self.promises.asked(app, wanted(&before));
        // Without an answer it may have been done or not: it died before it could say.
        if let Some(reply) = self.feed(Input::Request(1, Box::new(request))) {
            self.promises.answered(app, reply.status < 300);
        }
    }

    /// An application as the API shows it.
    fn state(&mut self, app: &str) -> Wanted {
        let request = Request::GetApp { id: AppId::resolve(app), embed: Embed::default() };
        let body = self.read(request);
        let app = body.get("app")?;
        let instances = app["instances"].as_u64().unwrap().try_into().unwrap();
        Some((instances, app["cmd"].as_str().unwrap().to_owned()))
    }

    // === The end of all faults ===

    /// From here on nothing goes wrong.
    pub(super) fn heal(&mut self) {
        self.faults = Faults::NONE;
        self.cluster.lossy = false;
        self.cluster.register(&mut self.rng, true);
    }

    /// Goes on until everything has come to rest, and looks at what has become of it.
    pub(super) fn converge(&mut self) {
        for round in 0..2000 {
            self.deliver_call();
            while !self.to_master.is_empty() || !self.cluster.said.is_empty() {
                self.deliver_call();
                self.deliver_event();
            }
            self.cluster.run(&mut self.rng, false);
            self.cluster.tell(&mut self.rng, true);
            self.cluster.offer(&mut self.rng);
            self.pass(Duration::from_secs(1));
            // Long enough for every delay, repetition and question to have its turn.
            if round > 700 && self.is_at_rest() {
                return self.check();
            }
        }
        panic!("no rest: {:?} {:?}", self.deployments(), self.cluster.alive());
    }

    fn is_at_rest(&mut self) -> bool {
        self.to_master.is_empty()
            && self.cluster.said.is_empty()
            && self.cluster.is_quiet()
            && self.deployments() == json!([])
    }

    fn deployments(&mut self) -> Value {
        self.read(Request::ListDeployments)
    }

    /// Asks for something to look at, with no fault in between.
    fn read(&mut self, request: Request) -> Value {
        let crash = std::mem::replace(&mut self.faults.crash, false);
        let reply = self.feed(Input::Request(0, Box::new(request))).unwrap();
        self.faults.crash = crash;
        match reply.body {
            Body::Json(body) => body,
            other => panic!("{other:?}"),
        }
    }

    fn check(&mut self) {
        let mut expected = BTreeMap::new();
        for app in APPS {
            let state = self.state(app);
            let possible = self.promises.possible(app);
            assert!(possible.contains(&state), "{app} is {state:?}, of {possible:?}");
            if let Some((instances, version)) = state.filter(|(instances, _)| *instances > 0) {
                expected.insert(app.to_owned(), instances as usize);
                let commands = self.cluster.commands(app);
                assert_eq!(commands, [version].into(), "{app} is out of date");
            }
        }
        assert_eq!(self.cluster.alive(), expected, "exactly what is wanted runs");
        let records = Records::load(&self.store).unwrap();
        assert_eq!(records.instances.len(), expected.values().sum::<usize>());
        assert!(records.deployments.is_empty());
    }
}

fn config() -> Config {
    Config::new("here")
}

/// A full or partial update that may create, and cancels what is in its way.
fn put(app: &str, body: Value) -> Request {
    let (partial, create) = (true, true);
    Request::UpdateApp { id: AppId::resolve(app), body, force: true, partial, create }
}
