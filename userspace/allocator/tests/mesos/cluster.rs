//! An allocator on virtual time, with a few words for what the tests do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{AgentOptions, Allocator, FrameworkOptions, Grant, Options};
use muster_resources::Resources;

use crate::{in_role, resources};

/// Time between two cycles over all agents, unless it is set.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// No offers.
pub(crate) const NOTHING: [Offer; 0] = [];

/// Agents `agent1`, `agent2`, … on hosts of the same names, and frameworks `framework1`, ….
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) allocator: Allocator,
    pub(crate) now: Duration,
    interval: Duration,
    agents: usize,
    frameworks: usize,
}

/// What a framework is offered of an agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    pub(crate) framework: String,
    pub(crate) role: String,
    pub(crate) agent: String,
    pub(crate) resources: Resources,
}

impl Offer {
    pub(crate) fn new(framework: &str, role: &str, agent: &str, resources: &Resources) -> Self {
        Self {
            framework: framework.to_owned(),
            role: role.to_owned(),
            agent: agent.to_owned(),
            resources: resources.clone(),
        }
    }

    /// A part of it.
    pub(crate) fn part(&self, resources: &Resources) -> Self {
        assert!(self.resources.contains(resources), "{resources} of {}", self.resources);
        Self { resources: resources.clone(), ..self.clone() }
    }
}

/// So that offers can be compared with those that are needed again.
impl PartialEq<&Self> for Offer {
    fn eq(&self, other: &&Self) -> bool {
        self == *other
    }
}

impl From<Grant> for Offer {
    fn from(grant: Grant) -> Self {
        let allocations: Vec<_> = grant.resources.allocations().into_keys().collect();
        assert_eq!(allocations, [grant.role.as_str()], "what is granted says its role");
        let resources = grant.resources.unallocated();
        Self { framework: grant.framework, role: grant.role, agent: grant.agent, resources }
    }
}

/// An offer of resources from text.
pub(crate) fn offer(framework: &str, role: &str, agent: &str, text: &str) -> Offer {
    Offer::new(framework, role, agent, &resources(text))
}

/// What each framework or agent gets of some offers.
pub(crate) fn sums(offers: &[Offer], by: fn(&Offer) -> &str) -> BTreeMap<String, Resources> {
    let mut sums: BTreeMap<String, Resources> = BTreeMap::new();
    for offer in offers {
        *sums.entry(by(offer).to_owned()).or_default() += &offer.resources;
    }
    sums
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        Self {
            interval: options.allocation_interval,
            allocator: Allocator::new(options),
            now: Duration::ZERO,
            agents: 0,
            frameworks: 0,
        }
    }

    /// Adds an agent with resources from text.
    pub(crate) fn agent(&mut self, text: &str) -> String {
        self.agent_of(&resources(text))
    }

    /// Adds an agent with these resources.
    pub(crate) fn agent_of(&mut self, total: &Resources) -> String {
        self.agent_with(AgentOptions { total: total.clone(), ..AgentOptions::default() })
    }

    /// Adds an agent of which a framework uses something already.
    pub(crate) fn used_agent(
        &mut self,
        text: &str,
        framework: &str,
        role: &str,
        used: &str,
    ) -> String {
        let total = resources(text);
        let used = [(framework.to_owned(), resources(used).allocated_to(role))].into();
        self.add_agent(AgentOptions { total, ..AgentOptions::default() }, used)
    }

    pub(crate) fn agent_with(&mut self, options: AgentOptions) -> String {
        self.add_agent(options, BTreeMap::new())
    }

    pub(crate) fn add_agent(
        &mut self,
        options: AgentOptions,
        used: BTreeMap<String, Resources>,
    ) -> String {
        self.agents += 1;
        let id = format!("agent{}", self.agents);
        let options = AgentOptions { hostname: id.clone(), ..options };
        self.allocator.add_agent(&id, options, used).unwrap();
        id
    }

    /// Makes an agent have something else.
    pub(crate) fn set_total(&mut self, agent: &str, total: &Resources) {
        let options = AgentOptions {
            hostname: agent.to_owned(),
            total: total.clone(),
            ..AgentOptions::default()
        };
        self.allocator.update_agent(agent, options).unwrap();
    }

    /// Adds an active framework.
    pub(crate) fn framework(&mut self, role: &str) -> String {
        self.framework_with(in_role(role))
    }

    pub(crate) fn framework_with(&mut self, options: FrameworkOptions) -> String {
        self.frameworks += 1;
        let id = format!("framework{}", self.frameworks);
        self.allocator.add_framework(&id, options, BTreeMap::new()).unwrap();
        id
    }

    /// What is offered because of what has happened, if anything calls for a cycle.
    pub(crate) fn settle(&mut self) -> Vec<Offer> {
        if !self.allocator.has_candidates() {
            return Vec::new();
        }
        sorted(self.allocator.allocate_candidates(self.now))
    }

    /// What is offered when it is time for the next cycle over all agents.
    pub(crate) fn batch(&mut self) -> Vec<Offer> {
        self.now += self.interval;
        sorted(self.allocator.allocate(self.now))
    }

    /// Gives an offer back, without or with a refusal.
    pub(crate) fn recover(&mut self, offer: &Offer, refuse: Option<Duration>) {
        let Offer { framework, role, agent, resources } = offer;
        self.allocator.recover(self.now, framework, role, agent, resources, refuse).unwrap();
    }

    pub(crate) fn release(&mut self, offer: &Offer) {
        self.recover(offer, None);
    }

    pub(crate) fn decline(&mut self, offer: &Offer, refuse: Duration) {
        self.recover(offer, Some(refuse));
    }

    /// One of the numbers under `allocator/mesos/`.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.allocator.metrics().get(&format!("allocator/mesos/{name}")).copied()
    }
}

fn sorted(grants: Vec<Grant>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = grants.into_iter().map(Offer::from).collect();
    let key = |offer: &Offer| (offer.framework.clone(), offer.role.clone(), offer.agent.clone());
    offers.sort_by_key(key);
    offers
}
