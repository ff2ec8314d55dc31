//! Time, and everything that happens in it.

mod checks;
mod executors;
mod launches;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_agent::{
    Agent, Checkpoint, ContainerEvent, Finding, Input, LinkEvent, Output, Patience, Settings,
    Workload,
};
use muster_api::muster::{AgentMessage, MasterMessage};
use muster_containerizer::Termination;
use muster_resources::Resources;
use muster_store::{Memory, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::executors::{Program, Turn};
use super::machine::{Container, Machine};
use super::master::Master;

/// Probabilities of faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Of the agent's death before each of its acts.
    pub(crate) crash: f64,
    /// Of the link's end with each message.
    pub(crate) cut: f64,
    /// Of a commit's failure.
    pub(crate) full: f64,
}

enum Event {
    /// For the agent; lost when its process dies.
    Agent(Input),
    /// A message on its way; lost when its link breaks.
    ToMaster {
        link: u64,
        message: Box<AgentMessage>,
    },
    ToAgent {
        link: u64,
        message: Box<MasterMessage>,
    },
    Connect {
        session: u64,
    },
    /// A container's command returns.
    Exit {
        container: String,
    },
    /// An executor does something.
    Program {
        container: String,
        turn: Turn,
    },
    /// The master does something by itself.
    Act,
    /// The agent's process is started again.
    Start,
}

/// An open link: its number, the agent's number for it, and when the last message in
/// each direction arrives.
#[derive(Clone, Copy)]
struct Link {
    id: u64,
    session: u64,
    up: f64,
    down: f64,
}

pub(crate) struct World {
    rng: StdRng,
    faults: Faults,
    now: f64,
    /// By time, then by order of scheduling.
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    agent: Option<Agent>,
    store: Memory,
    pub(crate) master: Master,
    machine: Machine,
    link: Option<Link>,
    links: u64,
    /// Task of each container.
    tasks: BTreeMap<String, String>,
    /// The processes of executors, by container.
    programs: BTreeMap<String, Program>,
    subscriptions: u64,
    /// Tasks that executors were given.
    pub(crate) delivered: BTreeSet<String>,
    launching: bool,
    pub(crate) crashes: usize,
    pub(crate) cuts: usize,
    pub(crate) failed_commits: usize,
    pub(crate) adopted: usize,
    pub(crate) pods: usize,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut world = Self {
            rng: StdRng::seed_from_u64(seed),
            faults,
            now: 1e6,
            events: BTreeMap::new(),
            scheduled: 0,
            agent: None,
            store: Memory::default(),
            master: Master::default(),
            machine: Machine::default(),
            link: None,
            links: 0,
            tasks: BTreeMap::new(),
            programs: BTreeMap::new(),
            subscriptions: 0,
            delivered: BTreeSet::new(),
            launching: true,
            crashes: 0,
            cuts: 0,
            failed_commits: 0,
            adopted: 0,
            pods: 0,
        };
        world.schedule(0.0, Event::Start);
        world.schedule(1.0, Event::Act);
        world
    }

    /// Lets `seconds` pass.
    pub(crate) fn run(&mut self, seconds: f64) {
        let end = self.now + seconds;
        while let Some(entry) = self.events.first_entry() {
            let at = Duration::from_nanos(entry.key().0).as_secs_f64();
            if at > end {
                break;
            }
            self.now = at;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = end;
    }

    /// From now on everything works, and nothing new is launched.
    pub(crate) fn stop_faults(&mut self) {
        self.faults = Faults { crash: 0.0, cut: 0.0, full: 0.0 };
        self.launching = false;
    }

    fn schedule(&mut self, after: f64, event: Event) {
        let at = Duration::from_secs_f64(self.now + after);
        self.scheduled += 1;
        self.events.insert((u64::try_from(at.as_nanos()).unwrap(), self.scheduled), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Agent(input) => self.feed(input),
            Event::ToMaster { link, message } if self.open(link).is_some() => {
                let away = self.launching && self.rng.random_bool(0.1);
                if let Some(answer) = self.master.hear(*message, away) {
                    self.tell(answer);
                }
            }
            Event::ToMaster { .. } => {}
            Event::ToAgent { link, message } => {
                if let Some(session) = self.open(link) {
                    let event = LinkEvent::Message(message);
                    self.feed(Input::Link { session, event });
                }
            }
            Event::Connect { session } => self.connect(session),
            Event::Exit { container } => {
                if self.machine.runs(&container) {
                    let code = i32::from(self.rng.random_bool(0.3));
                    self.end(&container, Termination::Exited(code));
                }
            }
            Event::Program { container, turn } => self.program_turn(&container, turn),
            Event::Act => {
                if let Some(message) = self.master.act(&mut self.rng, self.launching) {
                    self.tell(message);
                }
                let after = if self.launching { self.rng.random_range(0.0..4.0) } else { 4.0 };
                self.schedule(after, Event::Act);
            }
            Event::Start => self.start(),
        }
    }

    fn start(&mut self) {
        let settings = Settings {
            hostname: "a1".into(),
            address: "10.0.0.1".parse().unwrap(),
            port: 5051,
            resources: Resources::parse("cpus:100;mem:100000").unwrap(),
            attributes: Vec::new(),
            work_dir: "/work".into(),
            version: "1".into(),
            incarnation: self.crashes.to_string(),
            patience: Patience::default(),
            containerizers: muster_agent::Containerizers::default(),
        };
        self.agent = Some(Agent::new(settings, StdRng::seed_from_u64(self.rng.random())));
        let checkpoint = Checkpoint::load(&self.store).unwrap();
        let containers = self.machine.found();
        self.adopted += containers.iter().filter(|found| found.ended.is_none()).count();
        self.feed(Input::Recovered { checkpoint, containers });
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.agent = None;
        self.events.retain(|_, event| !matches!(event, Event::Agent(_) | Event::Connect { .. }));
        self.cut();
        self.break_streams();
        self.machine.orphan(&mut self.rng);
        let after = self.rng.random_range(0.0..3.0);
        self.schedule(after, Event::Start);
    }

    fn cut(&mut self) {
        self.link = None;
        self.master.cut();
    }

    /// The session of a link, if it is still open.
    fn open(&self, id: u64) -> Option<u64> {
        self.link.filter(|link| link.id == id).map(|link| link.session)
    }

    fn connect(&mut self, session: u64) {
        let fails = self.faults.cut > 0.0 && self.rng.random_bool(0.2);
        let event = if fails {
            LinkEvent::Disconnected { error: "connection refused".into() }
        } else {
            self.links += 1;
            let (up, down) = (self.now, self.now);
            self.link = Some(Link { id: self.links, session, up, down });
            LinkEvent::Connected
        };
        self.feed(Input::Link { session, event });
    }

    /// A message from the master sets out, unless that is the moment the link breaks.
    fn tell(&mut self, message: MasterMessage) {
        let Some(link) = &mut self.link else { return };
        link.down = link.down.max(self.now) + self.rng.random_range(0.0..0.05);
        let Link { id, down, .. } = *link;
        if !self.breaks() {
            self.schedule(down - self.now, Event::ToAgent { link: id, message: Box::new(message) });
        }
    }

    fn send(&mut self, message: Box<AgentMessage>) {
        let Some(link) = &mut self.link else { return };
        link.up = link.up.max(self.now) + self.rng.random_range(0.0..0.05);
        let Link { id, up, .. } = *link;
        if !self.breaks() {
            self.schedule(up - self.now, Event::ToMaster { link: id, message });
        }
    }

    fn breaks(&mut self) -> bool {
        let Some(Link { session, .. }) = self.link else { return true };
        let breaks = self.rng.random_bool(self.faults.cut);
        if breaks {
            self.cuts += 1;
            self.cut();
            // The agent may take a while to notice.
            let after = self.rng.random_range(0.0..5.0);
            let event = LinkEvent::Disconnected { error: "broken pipe".into() };
            self.schedule(after, Event::Agent(Input::Link { session, event }));
        }
        breaks
    }

    fn end(&mut self, container: &str, how: Termination) {
        for nested in self.machine.nested_in(container) {
            self.machine.end(&nested, Termination::Signaled(9));
            self.event(0.01, &nested, ContainerEvent::Ended(Termination::Signaled(9)));
        }
        self.machine.end(container, how.clone());
        self.event(0.01, container, ContainerEvent::Ended(how));
    }

    fn event(&mut self, after: f64, container: &str, event: ContainerEvent) {
        let id = container.to_owned();
        self.schedule(after, Event::Agent(Input::Container { id, event }));
    }

    fn feed(&mut self, input: Input) {
        let Some(agent) = &mut self.agent else { return };
        let now = Duration::from_secs_f64(self.now);
        for output in agent.handle(now, input) {
            if self.rng.random_bool(self.faults.crash) {
                return self.crash();
            }
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Persist(batch) => {
                let fails = self.rng.random_bool(self.faults.full);
                let result = if fails {
                    self.failed_commits += 1;
                    Err("no space left on device".to_owned())
                } else {
                    self.store.commit(batch).unwrap();
                    Ok(())
                };
                let after = self.rng.random_range(0.0..0.02);
                self.schedule(after, Event::Agent(Input::Persisted(result)));
            }
            Output::Dial { session, after } => {
                self.cut();
                self.events.retain(|_, event| !matches!(event, Event::Connect { .. }));
                self.schedule(after.as_secs_f64(), Event::Connect { session });
            }
            Output::Send(message) => {
                self.check(&message);
                self.send(message);
            }
            Output::Launch(workload) => {
                let Workload::Mesos(spec) = *workload else { panic!("{workload:?}") };
                self.launch(&spec);
            }
            Output::Watch { container } => match self.machine.containers.get(&container) {
                Some(Container::Ended(how)) => {
                    let how = how.clone();
                    self.event(0.0, &container, ContainerEvent::Ended(how));
                }
                Some(_) => {}
                None => panic!("watches {container}, which is not there"),
            },
            Output::Kill { container, .. } => {
                if self.machine.runs(&container) {
                    self.end(&container, Termination::Signaled(15));
                }
            }
            Output::Destroy { container } => {
                let failed = self.faults.full > 0.0 && self.rng.random_bool(0.1);
                let event = if failed {
                    ContainerEvent::DestroyFailed { message: "device busy".into() }
                } else {
                    self.machine.remove(&container);
                    ContainerEvent::Destroyed
                };
                self.event(0.01, &container, event);
            }
            Output::Probe { container, purpose, round, .. } => {
                let connected =
                    if self.rng.random_bool(0.7) { Ok(()) } else { Err("refused".to_owned()) };
                let result = Ok(Finding::Connection(connected));
                self.schedule(
                    0.1,
                    Event::Agent(Input::Probed { container, purpose, round, result }),
                );
            }
            Output::Retire { .. } => {}
            Output::Tell { .. } | Output::HangUp { .. } | Output::Update { .. } => {
                self.act_for_executor(output);
            }
            Output::Reconcile { .. } => {
                let skips = muster_dataplane::Skips::default();
                self.schedule(0.1, Event::Agent(Input::Reconciled(Ok(skips))));
            }
            Output::Timer { after, timer } => {
                self.schedule(after.as_secs_f64(), Event::Agent(Input::Timer(timer)));
            }
        }
    }
}
