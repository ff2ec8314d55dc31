//! What the allocator knows, for others to see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_resources::{Quantities, Resources};

use super::Allocator;
use crate::amounts::Amounts;
use crate::ids::{ClientId, RoleId};
use crate::pool::Pool;
use crate::role::{Member, Members, Role};
use crate::tree::Tree;
use crate::{Error, FrameworkShare, Quota, RoleShare, RoleView, Shares};

impl Allocator {
    /// Who has how much, in the order in which the next cycle would serve them; for a sorter
    /// by chance, in the order of names.
    pub fn shares(&self) -> Shares {
        let mut tree = self.roles.tree.clone();
        let clients = tree.all_in_order(&self.pool);
        let roles = clients.into_iter().map(|client| self.roles.of_client(client));
        Shares { roles: roles.filter_map(|role| self.role_share(role)).collect() }
    }

    fn role_share(&self, id: RoleId) -> Option<RoleShare> {
        let role = self.roles.get(id);
        let members = role.members.as_ref()?;
        let mut tree = members.tree.clone();
        let clients = tree.all_in_order(&self.pool);
        Some(RoleShare {
            name: role.path.to_string(),
            weight: role.weight,
            share: self.roles.tree.share(members.client, &self.pool),
            allocations: self.roles.tree.count(members.client),
            frameworks: clients
                .into_iter()
                .filter_map(|client| self.framework_share(members, client))
                .collect(),
        })
    }

    fn framework_share(&self, members: &Members, client: ClientId) -> Option<FrameworkShare> {
        let member = members.get(client)?;
        Some(FrameworkShare {
            id: self.frameworks[member.framework.index()].id.clone(),
            share: members.tree.share(client, &self.pool),
            allocations: members.tree.count(client),
            active: members.tree.is_active(client),
        })
    }

    /// What a framework is offered or uses of an agent in a role.
    pub fn allocation(&self, framework: &str, role: &str, agent: &str) -> Resources {
        let find = || {
            let framework = self.frameworks_by_id.get(framework)?;
            let agent = self.agents_by_id.get(agent)?;
            self.agents[agent.index()].holding(*framework, self.roles.find(role)?)
        };
        find().map(|holding| holding.resources.clone()).unwrap_or_default()
    }

    /// What nobody has of an agent, and what is shared of it.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn available(&self, agent: &str) -> Result<Resources, Error> {
        let agent = self.agent_id(agent)?;
        Ok(self.agents[agent.index()].available().cloned().collect())
    }

    /// All that an agent has.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn total(&self, agent: &str) -> Result<&Resources, Error> {
        Ok(&self.agents[self.agent_id(agent)?.index()].options.total)
    }

    /// The scalars of all agents.
    pub fn total_quantities(&self) -> Quantities {
        self.names.named(self.pool.amounts())
    }

    /// The paths of all roles that there is anything to know of: those with frameworks, quota,
    /// a weight or reservations, and those above them.
    pub fn roles(&self) -> BTreeSet<String> {
        self.roles.iter().map(|(_, role)| role.path.to_string()).collect()
    }

    /// What is known of a role; `None` if there is nothing to know.
    pub fn role(&self, path: &str) -> Option<RoleView> {
        let role = self.roles.get(self.roles.find(path)?);
        let mut consumed = role.used.clone();
        consumed.add(&role.reserved);
        let frameworks = role.members.iter().flat_map(|members| members.iter());
        let id = |member: &Member| self.frameworks[member.framework.index()].id.clone();
        Some(RoleView {
            weight: role.weight,
            quota: role.quota.as_ref().map(|quota| quota.quota.clone()).unwrap_or_default(),
            reserved: self.names.named(&role.reserved),
            held: self.names.named(&role.held),
            held_reserved: self.names.named(&role.held_reserved),
            consumed: self.names.named(&consumed),
            offered_or_consumed: self.names.named(&role.consumed()),
            frameworks: frameworks.map(id).collect(),
            filters: role.members.as_ref().map_or(0, |members| members.filters),
        })
    }

    /// The agents that a framework's constraints keep from being offered to it in a role.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn excluded_agents(&self, framework: &str, role: &str) -> Result<Vec<String>, Error> {
        let constraints =
            &self.frameworks[self.framework_id(framework)?.index()].options.offer_constraints;
        let agents = self.agents.iter().map(|(_, agent)| agent);
        let excluded = agents.filter(|agent| constraints.excludes(role, &agent.options));
        let mut ids: Vec<String> = excluded.map(|agent| agent.id.clone()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// All quotas that are not the default.
    pub fn quotas(&self) -> BTreeMap<String, Quota> {
        self.roles
            .iter()
            .filter_map(|(_, role)| {
                role.quota.as_ref().map(|quota| (role.path.to_string(), quota.quota.clone()))
            })
            .collect()
    }

    /// How many cycles there have been.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// What frameworks have of all agents together, by name.
    pub fn held_by_all(&self) -> Quantities {
        let mut held = self.names.named(self.roles.tree.held_by_all());
        let unknown: BTreeSet<_> = self.strangers.values().flatten().collect();
        for agent in unknown {
            for stranger in &self.agents[agent.index()].strangers {
                held.add_all(&Quantities::of_scalars(&stranger.resources));
            }
        }
        held
    }

    pub(crate) fn all_roles(&self) -> impl Iterator<Item = (RoleId, &Role)> {
        self.roles.iter()
    }

    pub(crate) fn role_tree(&self) -> &Tree {
        &self.roles.tree
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn named(&self, amounts: &Amounts) -> Quantities {
        self.names.named(amounts)
    }

    pub(crate) fn timers(&self, set: &mut impl FnMut(String, f64)) {
        self.runs.metrics("allocation_run", &mut *set);
        self.latencies.metrics("allocation_run_latency", set);
    }

    pub(crate) fn note_times(&mut self, now: Duration, latency: Duration, run: Duration) {
        self.runs.note(now, run);
        self.latencies.note(now, latency);
    }
}
