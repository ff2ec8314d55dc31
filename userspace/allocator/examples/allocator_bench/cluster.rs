//! A cluster to measure on.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{
    AgentOptions, Allocator, Error, FrameworkCapabilities, FrameworkOptions, Grant, Options,
    SorterKind,
};
use muster_resources::Resources;

use crate::Failure;
use crate::stopwatch::{Stopwatch, Took};
use crate::watch::Watch;

/// A refusal for as long as possible.
pub(crate) const FOREVER: Option<Duration> = Some(Duration::from_secs(i32::MAX as u64));

/// What all frameworks of Mesos' cases know.
pub(crate) const MULTI_ROLE: FrameworkCapabilities = FrameworkCapabilities {
    gpu_resources: false,
    multi_role: true,
    reservation_refinement: false,
    revocable_resources: false,
    shared_resources: false,
    region_aware: false,
};

/// An allocator, and what it has offered.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) allocator: Allocator,
    pub(crate) now: Duration,
    /// Offers that have not been answered.
    pub(crate) offers: Vec<Grant>,
}

/// What is told of a new agent.
pub(crate) type AgentInfo = (String, AgentOptions, BTreeMap<String, Resources>);

pub(crate) fn framework_id(number: usize) -> String {
    format!("framework{number}")
}

pub(crate) fn agent_id(number: usize) -> String {
    format!("agent{number}")
}

/// So many agents. Each has something in use, marked as allocated, by one of the frameworks in
/// turn.
pub(crate) fn agents(
    count: usize,
    frameworks: usize,
    of: impl Fn(usize) -> (Resources, Resources),
) -> Vec<AgentInfo> {
    (0..count)
        .map(|number| {
            let (total, used) = of(number);
            let options =
                AgentOptions { hostname: agent_id(number), total, ..AgentOptions::default() };
            let mut all = BTreeMap::new();
            if !used.is_empty() {
                all.insert(framework_id(number % frameworks), used);
            }
            (agent_id(number), options, all)
        })
        .collect()
}

impl Cluster {
    pub(crate) fn new(sorter: SorterKind) -> Self {
        let options = Options {
            seed: 1,
            role_sorter: sorter,
            framework_sorter: sorter,
            ..Options::default()
        };
        Self { allocator: Allocator::new(options), now: Duration::ZERO, offers: Vec::new() }
    }

    /// Adds so many frameworks, each in a role.
    pub(crate) fn add_frameworks(
        &mut self,
        watch: &mut Watch,
        count: usize,
        knows: FrameworkCapabilities,
        role: impl Fn(usize) -> String,
    ) -> Result<(), Error> {
        let options = |number| FrameworkOptions {
            roles: vec![role(number)],
            capabilities: knows,
            active: true,
            ..FrameworkOptions::default()
        };
        let all: Vec<_> =
            (0..count).map(|number| (framework_id(number), options(number))).collect();
        watch.time("add the frameworks", || {
            all.into_iter().try_for_each(|(id, options)| {
                self.allocator.add_framework(&id, options, BTreeMap::new())
            })
        })
    }

    /// Adds agents and hands out what is free of them, all at once, as a master does that has
    /// more events waiting.
    pub(crate) fn add_agents(
        &mut self,
        watch: &mut Watch,
        agents: Vec<AgentInfo>,
    ) -> Result<(), Error> {
        let start = Stopwatch::start();
        watch.time("add the agents", || {
            agents
                .into_iter()
                .try_for_each(|(id, options, used)| self.allocator.add_agent(&id, options, used))
        })?;
        self.cycle_of_candidates(watch, "first cycle");
        watch.note("add the agents, and the first cycle", start.elapsed());
        Ok(())
    }

    /// A cycle over what has changed.
    pub(crate) fn cycle_of_candidates(&mut self, watch: &mut Watch, phase: &str) {
        let grants = watch.time(phase, || self.allocator.allocate_candidates(self.now));
        self.offers.extend(grants);
    }

    /// A cycle over all agents, a second after the one before; how long it took.
    pub(crate) fn cycle(&mut self) -> Took {
        self.now += Duration::from_secs(1);
        let start = Stopwatch::start();
        let grants = self.allocator.allocate(self.now);
        let took = start.elapsed();
        self.offers.extend(grants);
        took
    }

    /// Gives all offers back; how many, and how long it took.
    pub(crate) fn decline(&mut self, refuse: Option<Duration>) -> Result<(usize, Took), Error> {
        let offers = std::mem::take(&mut self.offers);
        let start = Stopwatch::start();
        for Grant { framework, role, agent, resources } in &offers {
            self.allocator.recover(self.now, framework, role, agent, resources, refuse)?;
        }
        Ok((offers.len(), start.elapsed()))
    }

    /// Makes sure that a cycle did what the case is about.
    pub(crate) fn expect_offers(&self, count: usize) -> Result<(), Failure> {
        if self.offers.len() == count {
            return Ok(());
        }
        Err(format!("{} offers were made, {count} were to be", self.offers.len()).into())
    }
}
