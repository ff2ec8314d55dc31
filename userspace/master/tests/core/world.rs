//! A master with a store, a clock and nothing else.

use std::time::Duration;

use muster_api::mesos::scheduler::{Call, Event, call};
use muster_api::mesos::{
    AgentInfo, CommandInfo, Filters, FrameworkInfo, Offer, OfferId, TaskInfo, TaskState,
    TaskStatus, framework_info, offer,
};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{AgentTask, Register, StatusUpdate};
use muster_master::core::{Change, Input, Master, Options, Output, Refusal, Step};
use muster_master::registry::Registry;
use muster_resources::Resources;
use muster_store::{Memory, Store as _};

pub(crate) struct World {
    pub(crate) master: Master,
    pub(crate) store: Memory,
    pub(crate) now: Duration,
    /// Agents do not answer pings.
    pub(crate) silent: bool,
    incarnations: u32,
    adjust: fn(&mut Options),
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A master with other options than the defaults.
    pub(crate) fn with(adjust: fn(&mut Options)) -> Self {
        let store = Memory::default();
        let now = Duration::from_secs(1_000_000);
        let mut options = options(0);
        adjust(&mut options);
        let master = Master::new(options, Registry::load(&store).unwrap(), now).unwrap();
        Self { master, store, now, silent: false, incarnations: 0, adjust }
    }

    /// `kill -9` and a new process on the same store.
    pub(crate) fn restart(&mut self) {
        self.incarnations += 1;
        let registry = Registry::load(&self.store).unwrap();
        let mut options = options(self.incarnations);
        (self.adjust)(&mut options);
        self.master = Master::new(options, registry, self.now).unwrap();
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Output> {
        self.master.handle(self.now, input);
        let Step { batch, outputs } = self.master.settle(self.now);
        self.store.commit(batch).unwrap();
        outputs
    }

    /// An operator's change: what is answered, and all that is said.
    pub(crate) fn change(&mut self, change: Change) -> (Result<(), Refusal>, Vec<Output>) {
        let mut outputs = self.step(Input::Change { request: 1, change: Box::new(change) });
        let is_answer = |output: &Output| matches!(output, Output::Answer(1, _));
        let position = outputs.iter().position(is_answer).expect("an answer");
        let Output::Answer(_, answer) = outputs.remove(position) else { unreachable!() };
        (answer, outputs)
    }

    /// Lets time pass in ticks of a second; all outputs together.
    pub(crate) fn advance(&mut self, seconds: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            let said = self.step(Input::Tick);
            for output in &said {
                if let Output::ToAgent(link, message) = output
                    && matches!(**message, ToAgent::Ping(_))
                    && !self.silent
                {
                    self.step(Input::Pong { link: *link });
                }
            }
            outputs.extend(said);
        }
        outputs
    }

    pub(crate) fn register(&mut self, link: u64, register: Register) -> Vec<Output> {
        self.step(Input::Register { link, register: Box::new(register) })
    }

    /// Registers a new agent with 4 CPUs and 4 GB; gives its id.
    pub(crate) fn agent(&mut self, link: u64, hostname: &str) -> String {
        let outputs = self.register(link, registration(hostname));
        registered(&outputs)
    }

    /// Registers a new agent with these resources; gives its id.
    pub(crate) fn agent_with(&mut self, link: u64, hostname: &str, text: &str) -> String {
        let mut register = registration(hostname);
        register.info.as_mut().unwrap().resources = resources(text);
        let outputs = self.register(link, register);
        registered(&outputs)
    }

    pub(crate) fn call(&mut self, connection: u64, call: Call) -> Vec<Output> {
        self.step(Input::Call { connection, call: Box::new(call) })
    }

    /// Subscribes a framework; gives its id.
    pub(crate) fn framework(&mut self, connection: u64, name: &str) -> (String, Vec<Output>) {
        self.described(connection, framework(name))
    }

    /// Subscribes a framework that is described so; gives its id.
    pub(crate) fn described(
        &mut self,
        connection: u64,
        info: FrameworkInfo,
    ) -> (String, Vec<Output>) {
        let outputs = self.call(connection, subscribe(info, None));
        let id = events(&outputs, connection)
            .find_map(|event| event.subscribed.as_ref())
            .map(|subscribed| subscribed.framework_id.value.clone())
            .expect("SUBSCRIBED");
        (id, outputs)
    }

    pub(crate) fn update(&mut self, link: u64, framework: &str, status: TaskStatus) -> Vec<Output> {
        let update = StatusUpdate { framework_id: Some(framework.into()), status: Some(status) };
        self.step(Input::Update { link, update: Box::new(update) })
    }

    /// An agent, a framework and a task that runs.
    pub(crate) fn running() -> (Self, Running) {
        let mut world = Self::new();
        let agent = world.agent(1, "one");
        let (framework, outputs) = world.framework(10, "marathon");
        let offers = offers(&outputs, 10);
        let task = task("t1", &agent, "cpus:1;mem:512;ports:[31000-31000]");
        world.call(10, launch(&offers[0].id, vec![task.clone()]));
        let status = status("t1", TaskState::TaskRunning, 1);
        world.update(1, &framework, status.clone());
        (world, Running { agent, framework, task, status })
    }
}

pub(crate) struct Running {
    pub(crate) agent: String,
    pub(crate) framework: String,
    pub(crate) task: TaskInfo,
    pub(crate) status: TaskStatus,
}

impl Running {
    /// What the agent says when it comes back with the task.
    pub(crate) fn registration(&self) -> Register {
        let mut register = registration("one");
        register.info.as_mut().unwrap().id = Some(self.agent.as_str().into());
        register.tasks = vec![AgentTask {
            framework_id: Some(self.framework.as_str().into()),
            info: Some(self.task.clone()),
            status: Some(self.status.clone()),
            unacknowledged: false,
        }];
        register
    }
}

fn options(incarnation: u32) -> Options {
    let address = "127.0.0.1:5050".parse().unwrap();
    let mut options =
        Options::new(format!("master{incarnation}"), "master.example".into(), address);
    options.allocator.seed = 7;
    options
}

pub(crate) fn resources(text: &str) -> Vec<muster_api::mesos::Resource> {
    Resources::parse(text).unwrap().to_proto()
}

pub(crate) fn registration(hostname: &str) -> Register {
    Register {
        info: Some(AgentInfo {
            hostname: hostname.into(),
            resources: resources("cpus:4;mem:4096;ports:[31000-31999]"),
            ..AgentInfo::default()
        }),
        address: "10.0.0.1".into(),
        version: "0.1.0".into(),
        incarnation: format!("{hostname}-1"),
        ..Register::default()
    }
}

pub(crate) fn framework(name: &str) -> FrameworkInfo {
    let mut capabilities = Vec::new();
    for kind in [
        framework_info::capability::Type::MultiRole,
        framework_info::capability::Type::PartitionAware,
    ] {
        let mut capability = framework_info::Capability::default();
        capability.set_type(kind);
        capabilities.push(capability);
    }
    FrameworkInfo {
        name: name.into(),
        user: "root".into(),
        roles: vec!["*".into()],
        failover_timeout: Some(3600.0),
        capabilities,
        ..FrameworkInfo::default()
    }
}

/// A framework of one role.
pub(crate) fn in_role(name: &str, role: &str) -> FrameworkInfo {
    FrameworkInfo { roles: vec![role.into()], ..framework(name) }
}

pub(crate) fn subscribe(info: FrameworkInfo, id: Option<&str>) -> Call {
    let mut call = Call {
        framework_id: id.map(Into::into),
        subscribe: Some(call::Subscribe { framework_info: info, ..call::Subscribe::default() }),
        ..Call::default()
    };
    call.set_type(call::Type::Subscribe);
    call
}

pub(crate) fn task(id: &str, agent: &str, wants: &str) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: id.into(),
        agent_id: agent.into(),
        resources: resources(wants),
        command: Some(CommandInfo { value: Some("true".into()), ..CommandInfo::default() }),
        ..TaskInfo::default()
    }
}

pub(crate) fn launch(offer: &OfferId, tasks: Vec<TaskInfo>) -> Call {
    let mut operation = offer::Operation {
        launch: Some(offer::operation::Launch { task_infos: tasks }),
        ..offer::Operation::default()
    };
    operation.set_type(offer::operation::Type::Launch);
    accept(vec![offer.clone()], vec![operation], 0.0)
}

pub(crate) fn accept(ids: Vec<OfferId>, operations: Vec<offer::Operation>, refuse: f64) -> Call {
    let mut call = Call {
        accept: Some(call::Accept {
            offer_ids: ids,
            operations,
            filters: Some(Filters { refuse_seconds: Some(refuse) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Accept);
    call
}

pub(crate) fn decline(id: &OfferId, refuse: f64) -> Call {
    let mut call = Call {
        decline: Some(call::Decline {
            offer_ids: vec![id.clone()],
            filters: Some(Filters { refuse_seconds: Some(refuse) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Decline);
    call
}

pub(crate) fn kill(task: &str) -> Call {
    let mut call = Call {
        kill: Some(call::Kill { task_id: task.into(), ..call::Kill::default() }),
        ..Call::default()
    };
    call.set_type(call::Type::Kill);
    call
}

pub(crate) fn acknowledge(agent: &str, task: &str, uuid: &[u8]) -> Call {
    let mut call = Call {
        acknowledge: Some(call::Acknowledge {
            agent_id: agent.into(),
            task_id: task.into(),
            uuid: uuid.to_vec(),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Acknowledge);
    call
}

pub(crate) fn reconcile(tasks: &[(&str, Option<&str>)]) -> Call {
    let tasks = tasks
        .iter()
        .map(|(task, agent)| call::reconcile::Task {
            task_id: (*task).into(),
            agent_id: agent.map(Into::into),
        })
        .collect();
    let mut call = Call { reconcile: Some(call::Reconcile { tasks }), ..Call::default() };
    call.set_type(call::Type::Reconcile);
    call
}

/// A status of `task` with a uuid made of `number`, which is also its time.
pub(crate) fn status(task: &str, state: TaskState, number: u8) -> TaskStatus {
    let mut status = TaskStatus {
        task_id: task.into(),
        uuid: Some(vec![number; 16]),
        timestamp: Some(2_000_000.0 + f64::from(number)),
        ..TaskStatus::default()
    };
    status.set_state(state);
    status
}

pub(crate) fn events(outputs: &[Output], connection: u64) -> impl Iterator<Item = &Event> {
    outputs.iter().filter_map(move |output| match output {
        Output::ToScheduler(to, event) if *to == connection => Some(event.as_ref()),
        _ => None,
    })
}

pub(crate) fn offers(outputs: &[Output], connection: u64) -> Vec<Offer> {
    events(outputs, connection)
        .filter_map(|event| event.offers.as_ref())
        .flat_map(|offers| offers.offers.clone())
        .collect()
}

/// The offers that a framework is told are taken back.
pub(crate) fn rescinded(outputs: &[Output], connection: u64) -> Vec<String> {
    events(outputs, connection)
        .filter_map(|event| event.rescind.as_ref().map(|rescind| rescind.offer_id.value.clone()))
        .collect()
}

/// What an offer holds, as text.
pub(crate) fn held(offer: &Offer) -> String {
    let mut plain = offer.resources.clone();
    for resource in &mut plain {
        resource.allocation_info = None;
    }
    Resources::from_proto(&plain).unwrap().to_string()
}

pub(crate) fn statuses(outputs: &[Output], connection: u64) -> Vec<TaskStatus> {
    events(outputs, connection)
        .filter_map(|event| event.update.as_ref().map(|update| update.status.clone()))
        .collect()
}

pub(crate) fn to_agent(outputs: &[Output], link: u64) -> Vec<&ToAgent> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::ToAgent(to, message) if *to == link => Some(message.as_ref()),
            _ => None,
        })
        .collect()
}

pub(crate) fn registered(outputs: &[Output]) -> String {
    outputs
        .iter()
        .find_map(|output| match output {
            Output::ToAgent(_, message) => match message.as_ref() {
                ToAgent::Registered(registered) => registered.agent_id.clone(),
                _ => None,
            },
            _ => None,
        })
        .expect("Registered")
        .value
}
