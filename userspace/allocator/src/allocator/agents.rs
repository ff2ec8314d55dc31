//! Agents come, change and go.

use std::collections::{BTreeMap, BTreeSet};

use muster_resources::Resources;

use super::{Allocator, split};
use crate::agent::{Agent, Stranger};
use crate::ids::AgentId;
use crate::{AgentOptions, Error};

impl Allocator {
    /// Adds an agent, and what frameworks use of it already, marked as allocated to their
    /// roles. Frameworks may be added later.
    ///
    /// # Errors
    /// [`Error::KnownAgent`]; [`Error::Unallocated`]; [`Error::Role`].
    pub fn add_agent(
        &mut self,
        id: &str,
        options: AgentOptions,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        if self.agents_by_id.contains_key(id) {
            return Err(Error::KnownAgent(id.to_owned()));
        }
        let held = by_role(used)?;
        let mut agent = Agent::new(id, options, self.next_serial);
        self.next_serial += 1;
        agent.listed = self.is_listed(&agent.options);
        agent.remote = self.is_remote(&agent.options);
        let total = agent.options.total.clone();
        let unavailability = agent.options.unavailability;
        let revocable = agent.revocable(&mut self.names);
        let number = AgentId::from(self.agents.insert(agent));
        self.agents_by_id.insert(id.to_owned(), number);
        self.revocable.add(&revocable);
        self.count_total(&total, true);
        let any = !held.is_empty();
        for (framework, role, resources) in held {
            self.add_used(number, framework, role, resources);
        }
        if any {
            self.change_agent(number, Agent::recount);
        }
        self.set_unavailability(number, unavailability);
        self.wake_agent(number);
        self.candidates.insert(number);
        self.end_recovery_if_enough();
        Ok(())
    }

    /// Adds to an agent what a resource provider of it has, and what frameworks use of the
    /// agent besides what is known already, marked as allocated to their roles. It is no
    /// reason to allocate before the next cycle over all agents.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`]; [`Error::Unallocated`]; [`Error::Role`].
    pub fn add_resource_provider(
        &mut self,
        agent: &str,
        resources: &Resources,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        let agent = self.agent_id(agent)?;
        let held = by_role(used)?;
        let total = self.agents[agent.index()].options.total.clone() + resources;
        self.set_total(agent, total);
        for (framework, role, resources) in held {
            self.add_used(agent, framework, role, resources);
        }
        self.change_agent(agent, Agent::recount);
        Ok(())
    }

    /// Notes what a framework uses of an agent, of which is to be counted anew what is free.
    fn add_used(&mut self, agent: AgentId, framework: String, role: String, resources: Resources) {
        let Some(known) = self.frameworks_by_id.get(&framework).copied() else {
            self.strangers.entry(framework.clone()).or_default().insert(agent);
            let stranger = Stranger { framework, role, resources };
            self.agents[agent.index()].add_stranger(stranger);
            return;
        };
        let (role, _) = self.join(known, &role);
        self.hold_used(known, role, agent, &resources);
    }

    /// Changes what is known of an agent, but for when it will be down: see
    /// [`Allocator::update_unavailability`]. Changed attributes end all refusals of its offers.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn update_agent(&mut self, id: &str, options: AgentOptions) -> Result<(), Error> {
        let number = self.agent_id(id)?;
        let old = &self.agents[number.index()].options;
        let other_attributes = old.attributes != options.attributes;
        let changed = other_attributes
            || old.total != options.total
            || old.capabilities != options.capabilities
            || old.hostname != options.hostname
            || old.domain != options.domain;
        if other_attributes {
            self.end_filters_of_agent(number);
        }
        let (listed, remote) = (self.is_listed(&options), self.is_remote(&options));
        let total = options.total.clone();
        let agent = &mut self.agents[number.index()];
        let unavailability = agent.options.unavailability;
        let old = std::mem::take(&mut agent.options.total);
        agent.options = AgentOptions { total: old, unavailability, ..options };
        (agent.listed, agent.remote) = (listed, remote);
        self.set_total(number, total);
        if changed {
            self.wake_agent(number);
            self.candidates.insert(number);
        }
        Ok(())
    }

    fn is_listed(&self, options: &AgentOptions) -> bool {
        self.whitelist.as_ref().is_none_or(|listed| listed.contains(&options.hostname))
    }

    fn is_remote(&self, options: &AgentOptions) -> bool {
        match (&options.domain, &self.options.region) {
            (Some(domain), Some(region)) => domain.region != *region,
            _ => false,
        }
    }

    /// Changes what an agent has in all.
    pub(super) fn set_total(&mut self, agent: AgentId, total: Resources) {
        let old = self.agents[agent.index()].options.total.clone();
        if old == total {
            return;
        }
        self.count_total(&total, true);
        self.count_total(&old, false);
        self.change_agent(agent, |agent| {
            agent.options.total = total;
            agent.recount();
        });
        self.wake_agent(agent);
    }

    /// Adds what an agent has to what there is in all, or takes it away.
    pub(super) fn count_total(&mut self, total: &Resources, more: bool) {
        let amounts = self.names.scalars(total);
        if more {
            self.pool.add(&amounts);
        } else {
            self.pool.subtract(&amounts);
        }
        for (role, reserved) in total.reservations() {
            let amounts = self.names.scalars(&reserved);
            if amounts.is_zero() {
                continue;
            }
            let role = self.roles.reserve(&role, &amounts, more);
            if more {
                let top = self.roles.top(role);
                self.roles.refresh_quota(top, &self.minima);
            } else {
                self.loosen_quota(role);
                self.forget_role(role);
            }
        }
    }

    /// Forgets an agent and all that is offered or used of it.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn remove_agent(&mut self, id: &str) -> Result<(), Error> {
        let number = self.agent_id(id)?;
        self.end_filters_of_agent(number);
        let holdings = self.agents[number.index()].holdings.clone();
        for holding in holdings {
            self.mark_used(holding.framework, holding.role, number, &holding.used, false);
            self.release(holding.framework, holding.role, number, &holding.resources);
        }
        let total = self.agents[number.index()].options.total.clone();
        self.count_total(&total, false);
        let agent = self.agents.remove(number.index());
        self.revocable.subtract(&agent.revocable(&mut self.names));
        for stranger in agent.strangers {
            self.forget_stranger(&stranger.framework, number);
        }
        self.agents_by_id.remove(id);
        self.roster.remove(number);
        self.candidates.remove(&number);
        self.leaving.remove(&number);
        Ok(())
    }

    pub(super) fn forget_stranger(&mut self, framework: &str, agent: AgentId) {
        if let Some(agents) = self.strangers.get_mut(framework) {
            agents.remove(&agent);
            if agents.is_empty() {
                self.strangers.remove(framework);
            }
        }
    }

    /// Makes an agent be offered again.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn activate_agent(&mut self, id: &str) -> Result<(), Error> {
        let number = self.agent_id(id)?;
        self.agents[number.index()].active = true;
        self.wake_agent(number);
        Ok(())
    }

    /// Keeps an agent from being offered; what is used of it still counts.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn deactivate_agent(&mut self, id: &str) -> Result<(), Error> {
        let number = self.agent_id(id)?;
        self.agents[number.index()].active = false;
        // It is not idle: it is passed over.
        self.wake_agent(number);
        Ok(())
    }

    /// Whether there is such an agent.
    pub fn has_agent(&self, id: &str) -> bool {
        self.agents_by_id.contains_key(id)
    }

    /// Names the machines that may be offered; `None` is all.
    pub fn update_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
        let all: Vec<AgentId> = self.agents.iter().map(|(index, _)| index.into()).collect();
        for number in all {
            let listed = self.is_listed(&self.agents[number.index()].options);
            let agent = &mut self.agents[number.index()];
            if std::mem::replace(&mut agent.listed, listed) != listed {
                self.wake_agent(number);
            }
        }
    }

    /// Ends all refusals of an agent's offers.
    fn end_filters_of_agent(&mut self, agent: AgentId) {
        for (role, client, generation) in self.agents[agent.index()].refusals.end_all() {
            if let Some(members) = self.roles.try_members_mut(role) {
                members.end_filter(client, generation);
            }
        }
        self.end_inverse_filters(agent);
        self.wake_agent(agent);
    }
}

/// What each framework uses in each of its roles, without the mark.
fn by_role(used: BTreeMap<String, Resources>) -> Result<Vec<(String, String, Resources)>, Error> {
    let mut held = Vec::new();
    for (framework, resources) in used {
        for (role, resources) in split(&framework, &resources)? {
            held.push((framework.clone(), role, resources));
        }
    }
    Ok(held)
}
