//! A whole cluster: a master, agents and what joins them.

mod build;
mod look;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::cgroup::{self, Cgroup};
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::machine::{Machine, client_cgroup};
use crate::marathon::Marathon;
use crate::wait::{eventually, ready};
use crate::{paths, sweep};

/// How long a master or an agent may take to be up.
const UP_WITHIN: Duration = Duration::from_mins(1);

/// Port of the services' API.
const SERVICES_PORT: u16 = 8080;

/// Port of the master's state.
const MASTER_PORT: u16 = 5050;

/// What kind of cluster to build.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) name: String,
    pub(crate) agents: usize,
    pub(crate) resources: String,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) images: PathBuf,
    pub(crate) ipv6: bool,
}

impl Options {
    /// A cluster with one agent, called `name` (1 to 8 lower-case letters and digits) or, while
    /// another has that name, like it.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            agents: 1,
            resources: "cpus:4;mem:4096;ports:[31000-32000]".to_owned(),
            binary: None,
            images: paths::images(),
            ipv6: false,
        }
    }

    /// How many agents, 1 to 200.
    #[must_use]
    pub fn agents(mut self, agents: usize) -> Self {
        self.agents = agents;
        self
    }

    /// What each agent offers, as in `--resources`.
    #[must_use]
    pub fn resources(mut self, resources: &str) -> Self {
        resources.clone_into(&mut self.resources);
        self
    }

    /// Machines with IPv6 addresses only.
    #[must_use]
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// The `muster` binary; found or built by itself otherwise.
    #[must_use]
    pub fn binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }
}

/// A cluster that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Cluster {
    instance: Instance,
    master: Machine,
    agents: Vec<Machine>,
    stopped: bool,
}

impl Cluster {
    /// Builds the machines, starts master and agents and waits until all agents have registered.
    ///
    /// # Errors
    /// Whatever fails first; what was built is removed.
    pub fn start(options: &Options) -> Result<Self> {
        let mut cluster = Self::machines(options)?;
        cluster.start_all()?;
        Ok(cluster)
    }

    /// Starts master and agents and waits until all agents have registered.
    ///
    /// # Errors
    /// [`Error::Died`] with the log of what ended; [`Error::Timeout`].
    pub fn start_all(&mut self) -> Result<()> {
        self.start_master()?;
        for agent in &mut self.agents {
            agent.daemon.start()?;
        }
        self.await_agents()
    }

    /// Builds the machines, and starts nothing on them yet.
    ///
    /// # Errors
    /// Whatever fails first; what was built is removed.
    pub fn machines(options: &Options) -> Result<Self> {
        build::machines(options)
    }

    /// Its name: the prefix, with a dash, of its namespaces, cgroups and pins.
    pub fn id(&self) -> &str {
        self.instance.id()
    }

    /// The master's machine.
    pub fn master(&mut self) -> &mut Machine {
        &mut self.master
    }

    /// Address of the master's machine.
    pub fn master_address(&self) -> IpAddr {
        self.master.address
    }

    /// The agents' machines.
    pub fn agents(&self) -> &[Machine] {
        &self.agents
    }

    /// The machine of the agent `index`, from 0.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn agent(&mut self, index: usize) -> &mut Machine {
        &mut self.agents[index]
    }

    /// The services' API, asked from the master's machine.
    pub fn marathon(&self) -> Marathon {
        let base = format!("http://{}", SocketAddr::new(self.master.address, SERVICES_PORT));
        Marathon::new(self.master.http(), base)
    }

    /// Starts the master unless it runs, and waits until its services answer.
    ///
    /// # Errors
    /// [`Error::Died`] with its log; [`Error::Timeout`].
    pub fn start_master(&mut self) -> Result<()> {
        self.master.daemon.start()?;
        let marathon = self.marathon();
        let daemon = &mut self.master.daemon;
        eventually("the master to answer /ping", UP_WITHIN, || {
            daemon.check()?;
            marathon.send("GET", "/ping", None)?.success().map(drop)
        })
    }

    /// Starts the agent `index` unless it runs; [`Cluster::await_agents`] waits for it.
    ///
    /// # Errors
    /// [`Error::Command`] when it can not be started.
    pub fn start_agent(&mut self, index: usize) -> Result<()> {
        self.agents.get_mut(index).ok_or_else(|| no_agent(index))?.daemon.start()
    }

    /// Waits until the master counts every agent's machine as active.
    ///
    /// # Errors
    /// [`Error::Died`] with the log of an agent that ended; [`Error::Timeout`].
    pub fn await_agents(&mut self) -> Result<()> {
        let wanted = self.agents.len();
        self.wait_for("all agents to register", UP_WITHIN, |cluster| {
            let state = cluster.master_get("/state")?;
            let active = state.get("activated_slaves").and_then(Value::as_f64).unwrap_or(0.0);
            #[expect(clippy::cast_precision_loss, reason = "at most 200 agents")]
            let all = active >= wanted as f64;
            ready(all, || format!("{active} of {wanted}"))
        })
    }

    /// Waits until `probe` succeeds, and fails early when a master or an agent ends by itself.
    ///
    /// # Errors
    /// As [`eventually`]; [`Error::Died`].
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&Self) -> Result<T>,
    ) -> Result<T> {
        eventually(what, limit, || {
            self.check()?;
            probe(self)
        })
    }

    /// Fails when a master or an agent has ended by itself.
    ///
    /// # Errors
    /// [`Error::Died`] with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.every_machine().try_for_each(|machine| machine.daemon.check())
    }

    fn every_machine(&mut self) -> impl Iterator<Item = &mut Machine> {
        std::iter::once(&mut self.master).chain(&mut self.agents)
    }

    /// Removes the cluster, and says what its agents had left behind after their own cleanup:
    /// nothing, unless they have a fault.
    ///
    /// # Errors
    /// The first error; the rest is removed all the same.
    pub fn stop(mut self) -> Result<Vec<String>> {
        self.remove()
    }

    fn remove(&mut self) -> Result<Vec<String>> {
        if self.stopped {
            return Ok(Vec::new());
        }
        self.stopped = true;
        let mut outcomes = vec![self.remove_clients()];
        for agent in &mut self.agents {
            outcomes.push(agent.daemon.stop());
            // An agent that never started has made nothing.
            if agent.work.exists() {
                outcomes.push(agent.daemon.run_with(&["--recover", "cleanup"]));
            }
        }
        outcomes.push(self.master.daemon.stop());
        let leftovers = sweep::leftovers(self.id(), self.instance.work());
        outcomes.push(self.instance.release());
        outcomes.into_iter().collect::<Result<()>>()?;
        leftovers
    }

    fn remove_clients(&self) -> Result<()> {
        let root = cgroup::unified()?;
        let mut names = self.agents.iter().map(Machine::name);
        names.try_for_each(|name| Cgroup::at(root.join(client_cgroup(name))).remove())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.stopped {
            eprintln!("{}", self.report());
            match self.keep_logs() {
                Ok(kept) => eprintln!("all logs: {}", kept.display()),
                Err(error) => eprintln!("the logs could not be kept: {error}"),
            }
        }
        match self.remove() {
            Ok(leftovers) if leftovers.is_empty() => {}
            Ok(leftovers) => eprintln!("{} left, and swept: {leftovers:#?}", self.id()),
            Err(error) => eprintln!("removing the cluster {}: {error}", self.id()),
        }
    }
}

fn no_agent(index: usize) -> Error {
    Error::Missing {
        what: format!("agent number {index}"),
        fix: "build the cluster with more agents".into(),
    }
}

/// Number of the master's machine; agents' follow from 11.
const MASTER: u8 = 1;

/// Address of a machine of this number.
fn address(number: u8, ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, number.into()).into()
    } else {
        Ipv4Addr::new(10, 88, 0, number).into()
    }
}
