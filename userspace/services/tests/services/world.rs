//! A core with a store, and someone who plays the master.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{
    Attribute, Offer, Resource, TaskInfo, TaskState, TaskStatus, task_status, value,
};
use muster_services::reply::{Body, Reply};
use muster_services::request::{Embed, Request};
use muster_services::scheduler::{Check, Input, Output, Scheduler};
use muster_services::{Config, Timestamp, records::Records};
use muster_store::{Memory, Store as _};
use serde_json::Value;

/// A core, its store, and what it has said.
pub(crate) struct World {
    pub(crate) store: Memory,
    pub(crate) core: Scheduler,
    pub(crate) now: Timestamp,
    /// Everything said to the master that was not taken yet.
    pub(crate) calls: Vec<Call>,
    /// Readiness checks that were to be made.
    pub(crate) checks: Vec<Check>,
    /// Tasks launched and not taken back by anyone, by id.
    pub(crate) tasks: BTreeMap<String, TaskInfo>,
    seed: u8,
    offers: u32,
    updates: u8,
    pub(crate) config: Config,
}

/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600_000;

impl World {
    /// A core that has subscribed for the first time.
    pub(crate) fn new() -> Self {
        Self::with(Config::new("here"))
    }

    pub(crate) fn with(config: Config) -> Self {
        let now = Timestamp::from_millis(START);
        let core = Scheduler::new(config.clone(), Records::default(), [0; 32], now);
        let mut world = Self {
            store: Memory::default(),
            core,
            now,
            calls: Vec::new(),
            checks: Vec::new(),
            tasks: BTreeMap::new(),
            seed: 0,
            offers: 0,
            updates: 0,
            config,
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        self.input(Input::Connected);
        assert_eq!(self.calls.last().unwrap().r#type(), call::Type::Subscribe);
        self.event(Event {
            r#type: Some(event::Type::Subscribed.into()),
            subscribed: Some(event::Subscribed {
                framework_id: "framework".into(),
                heartbeat_interval_seconds: None,
                master_info: None,
            }),
            ..Default::default()
        });
    }

    /// A crash and a new start on the same store, subscribed again.
    pub(crate) fn restart(&mut self) {
        self.seed += 1;
        let records = Records::load(&self.store).unwrap();
        self.core = Scheduler::new(self.config.clone(), records, [self.seed; 32], self.now);
        self.calls.clear();
        self.connect();
    }

    /// Hands one input to the core and carries out what follows.
    pub(crate) fn input(&mut self, input: Input) -> Vec<Reply> {
        let outputs = self.core.handle(self.now, input);
        let mut replies = Vec::new();
        for output in outputs {
            match output {
                Output::Store(batch) => self.store.commit(batch).unwrap(),
                Output::Call(call) => {
                    for task in launched(&call) {
                        self.tasks.insert(task.task_id.value.clone(), task.clone());
                    }
                    self.calls.push(*call);
                }
                Output::Reply(_, reply) => replies.push(reply),
                Output::Check(check) => self.checks.push(*check),
            }
        }
        replies
    }

    pub(crate) fn event(&mut self, event: Event) {
        assert!(self.input(Input::Event(Box::new(event))).is_empty());
    }

    pub(crate) fn ask(&mut self, request: Request) -> Reply {
        self.input(Input::Request(1, Box::new(request))).pop().unwrap()
    }

    /// Creates an application that must be acceptable.
    pub(crate) fn create(&mut self, body: Value) -> Value {
        let reply = self.ask(Request::CreateApp { body, force: false });
        assert_eq!(reply.status, 201, "{reply:?}");
        json(reply)
    }

    /// A partial update that must be acceptable.
    pub(crate) fn update_app(&mut self, id: &str, body: Value) -> Value {
        let reply = self.ask(put(id, body));
        assert_eq!(reply.status, 200, "{reply:?}");
        json(reply)
    }

    pub(crate) fn app(&mut self, id: &str) -> Value {
        let id = muster_services::app::AppId::resolve(id);
        let reply = self.ask(Request::GetApp { id, embed: Embed::default() });
        assert_eq!(reply.status, 200, "{reply:?}");
        json(reply)["app"].take()
    }

    pub(crate) fn deployments(&mut self) -> Vec<Value> {
        json(self.ask(Request::ListDeployments)).as_array().unwrap().clone()
    }

    pub(crate) fn queue(&mut self) -> Vec<Value> {
        let queue = json(self.ask(Request::GetQueue { offers: true }));
        queue["queue"].as_array().unwrap().clone()
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        while let Some(at) = self.core.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    /// Offers from one agent each, in one event.
    pub(crate) fn offer(&mut self, offers: Vec<Offer>) {
        self.event(Event {
            r#type: Some(event::Type::Offers.into()),
            offers: Some(event::Offers { offers }),
            ..Default::default()
        });
    }

    /// An offer of plenty from the agent called `agent`.
    pub(crate) fn plenty(&mut self, agent: &str) -> Offer {
        self.some(agent, 8.0, 8192.0, (31_000, 32_000))
    }

    pub(crate) fn some(&mut self, agent: &str, cpus: f64, mem: f64, ports: (u64, u64)) -> Offer {
        self.offers += 1;
        Offer {
            id: format!("O{}", self.offers).into(),
            framework_id: "framework".into(),
            agent_id: agent.into(),
            hostname: format!("{agent}.example"),
            resources: vec![
                scalar("cpus", cpus),
                scalar("mem", mem),
                scalar("disk", 10_000.0),
                port_range(ports.0, ports.1),
            ],
            ..Default::default()
        }
    }

    /// Says something about a task, with a uuid of its own.
    pub(crate) fn update(&mut self, task: &str, state: TaskState) {
        self.update_with(task, state, |_| {});
    }

    pub(crate) fn update_with(
        &mut self,
        task: &str,
        state: TaskState,
        change: impl FnOnce(&mut TaskStatus),
    ) {
        self.updates += 1;
        let agent_id = self.tasks.get(task).map(|info| info.agent_id.clone());
        let mut status = TaskStatus {
            task_id: task.into(),
            state: state.into(),
            agent_id: Some(agent_id.unwrap_or_else(|| "a1".into())),
            uuid: Some(vec![self.updates; 16]),
            source: Some(task_status::Source::Executor.into()),
            ..Default::default()
        };
        change(&mut status);
        self.status(status);
    }

    pub(crate) fn status(&mut self, status: TaskStatus) {
        self.event(Event {
            r#type: Some(event::Type::Update.into()),
            update: Some(event::Update { status }),
            ..Default::default()
        });
    }

    /// Launches what waits on offers of plenty, and has it all run.
    pub(crate) fn launch(&mut self, agents: &[&str]) -> Vec<String> {
        self.calls.clear();
        let offers = agents.iter().map(|agent| self.plenty(agent)).collect();
        self.offer(offers);
        let ids: Vec<String> = self
            .taken(call::Type::Accept)
            .iter()
            .flat_map(launched)
            .map(|task| task.task_id.value.clone())
            .collect();
        for id in &ids {
            self.update(id, TaskState::TaskRunning);
        }
        ids
    }

    /// Takes out the calls of one type.
    pub(crate) fn taken(&mut self, kind: call::Type) -> Vec<Call> {
        let (taken, rest) =
            std::mem::take(&mut self.calls).into_iter().partition(|c| c.r#type() == kind);
        self.calls = rest;
        taken
    }

    /// The ids of the tasks that were to be killed since they were last asked for.
    pub(crate) fn killed(&mut self) -> Vec<String> {
        let kills = self.taken(call::Type::Kill).into_iter();
        kills.map(|call| call.kill.unwrap().task_id.value).collect()
    }

    /// Ends what was to be killed since it was last asked for, and names it.
    pub(crate) fn bury(&mut self) -> Vec<String> {
        let killed = self.killed();
        for id in &killed {
            self.update(id, TaskState::TaskKilled);
        }
        killed
    }

    /// Tasks on record, by id, with their state.
    pub(crate) fn states(&mut self, app: &str) -> Vec<(String, String)> {
        let tasks = self.app(app)["tasks"].take();
        let text = |task: &Value, name: &str| task[name].as_str().unwrap().to_owned();
        let tasks = tasks.as_array().unwrap().clone();
        tasks.iter().map(|task| (text(task, "id"), text(task, "state"))).collect()
    }
}

pub(crate) fn put(id: &str, body: Value) -> Request {
    Request::UpdateApp {
        id: muster_services::app::AppId::resolve(id),
        body,
        force: false,
        partial: true,
        create: true,
    }
}

pub(crate) fn json(reply: Reply) -> Value {
    match reply.body {
        Body::Json(value) => value,
        other => panic!("not JSON: {other:?}"),
    }
}

/// The tasks that a call launches.
pub(crate) fn launched(call: &Call) -> Vec<TaskInfo> {
    let operations = call.accept.iter().flat_map(|accept| &accept.operations);
    let launches = operations.filter_map(|operation| operation.launch.as_ref());
    launches.flat_map(|launch| launch.task_infos.clone()).collect()
}

pub(crate) fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    }
}

pub(crate) fn port_range(begin: u64, end: u64) -> Resource {
    Resource {
        name: "ports".into(),
        r#type: value::Type::Ranges.into(),
        ranges: Some(value::Ranges { range: vec![value::Range { begin, end }] }),
        ..Default::default()
    }
}

pub(crate) fn attribute(name: &str, text: &str) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: value::Type::Text.into(),
        text: Some(value::Text { value: text.into() }),
        ..Default::default()
    }
}
