//! Clients in order. A client is a role here, with one framework in it, and the sorter is
//! that of the allocator's roles.

mod common;
mod drf;
mod hierarchy;
mod shared;
mod totals;

use std::collections::BTreeMap;

use muster_allocator::{AgentOptions, Allocator, FrameworkOptions, Options, SorterKind};
use muster_resources::{Conversion, Quantities, Resources};

use crate::{in_role, resources};

const AGENT: &str = "agentId";

struct Sorter(Allocator);

/// The framework that stands for a client.
fn of(client: &str) -> String {
    client.replace('/', "-")
}

impl Sorter {
    fn new(kind: SorterKind) -> Self {
        Self(Allocator::new(Options { role_sorter: kind, ..Options::default() }))
    }

    /// By dominant share, with an agent that has this.
    fn drf(total: &str) -> Self {
        let mut sorter = Self::new(SorterKind::Drf);
        sorter.set_agent(AGENT, &resources(total));
        sorter
    }

    /// Adds an agent, or makes it have something else.
    fn set_agent(&mut self, agent: &str, total: &Resources) {
        let options = AgentOptions { total: total.clone(), ..AgentOptions::default() };
        if self.0.has_agent(agent) {
            self.0.update_agent(agent, options).unwrap();
        } else {
            self.0.add_agent(agent, options, BTreeMap::new()).unwrap();
        }
    }

    /// Adds a client that wants nothing yet.
    fn add(&mut self, client: &str) {
        let suppressed = [client.to_owned()].into();
        let options = FrameworkOptions { suppressed, ..in_role(client) };
        self.0.add_framework(&of(client), options, BTreeMap::new()).unwrap();
    }

    fn activate(&mut self, client: &str) {
        self.0.revive(&of(client), &[]).unwrap();
    }

    fn deactivate(&mut self, client: &str) {
        self.0.suppress(&of(client), &[]).unwrap();
    }

    fn remove(&mut self, client: &str) {
        self.0.remove_framework(&of(client)).unwrap();
    }

    /// Adds a client that wants something, and has this already.
    fn add_with(&mut self, client: &str, has: &str) {
        self.add(client);
        self.activate(client);
        self.allocated(client, has);
    }

    fn allocated(&mut self, client: &str, text: &str) {
        self.allocated_on(AGENT, client, &resources(text));
    }

    fn allocated_on(&mut self, agent: &str, client: &str, resources: &Resources) {
        let used = [(of(client), resources.clone().allocated_to(client))].into();
        self.0.add_resource_provider(agent, &Resources::default(), used).unwrap();
    }

    fn unallocated(&mut self, client: &str, resources: &Resources) {
        let now = std::time::Duration::ZERO;
        self.0.recover(now, &of(client), client, AGENT, resources, None).unwrap();
    }

    /// Makes a client have something else.
    fn update(&mut self, agent: &str, client: &str, old: &Resources, new: &Resources) {
        let conversion = Conversion::new(old.clone() - new, new.clone() - old);
        self.0.convert_allocation(&of(client), client, agent, &[conversion]).unwrap();
    }

    fn update_weight(&mut self, path: &str, weight: f64) {
        self.0.update_weight(path, weight).unwrap();
    }

    /// The clients that want something, in order.
    fn sort(&self) -> Vec<String> {
        let roles = self.0.shares().roles.into_iter();
        roles.filter(muster_allocator::RoleShare::is_active).map(|role| role.name).collect()
    }

    fn count(&self) -> usize {
        self.0.shares().roles.len()
    }

    fn contains(&self, client: &str) -> bool {
        self.0.shares().roles.iter().any(|role| role.name == client)
    }

    fn allocation(&self, agent: &str, client: &str) -> Resources {
        self.0.allocation(&of(client), client, agent)
    }

    /// What a client has of all agents, or all clients together.
    fn quantities(&self, client: Option<&str>) -> Quantities {
        let Some(client) = client else { return self.0.held_by_all() };
        let role = self.0.role(client).unwrap();
        let mut all = role.held;
        all.add_all(&role.held_reserved);
        all
    }

    /// Shares of some clients, in thousandths.
    fn shares(&self, clients: &[&str]) -> Vec<f64> {
        let roles = self.0.shares().roles;
        let share = |client: &&str| {
            let role = roles.iter().find(|role| role.name == **client).unwrap();
            let own = role.frameworks[0].share / role.weight;
            assert!((own - role.share).abs() < 1e-9, "the framework has what its role has");
            (role.share * 1e6).round() / 1e3
        };
        clients.iter().map(share).collect()
    }
}
