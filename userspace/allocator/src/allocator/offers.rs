//! What becomes of grants: tasks use them, or they are given back.

use std::time::Duration;

use muster_resources::Resources;

use super::{Allocator, FilterKey, refusal};
use crate::Error;
use crate::agent::Holding;
use crate::ids::{AgentId, FrameworkId, RoleId};
use crate::tally::Tally;

impl Allocator {
    /// Takes back what was offered to or used by a framework. With a duration, whatever is
    /// in it is not offered to the framework in this role from this agent for so long, for
    /// at least [`Options::allocation_interval`](crate::Options::allocation_interval), and at
    /// least in one cycle over all agents.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`]; [`Error::NotHeld`].
    pub fn recover(
        &mut self,
        now: Duration,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
        refuse: Option<Duration>,
    ) -> Result<(), Error> {
        let resources = resources.clone().unallocated();
        let place = self.check_held(framework, role, agent, &resources)?;
        let Some((framework, role, agent)) = place else { return Ok(()) };
        self.unmark_used(framework, role, agent, &resources);
        // The place in the role may be gone with the last that it had there.
        let client = self.frameworks[framework.index()].places.get(&role).copied();
        self.release(framework, role, agent, &resources);
        if let (Some(refuse), Some(client)) = (refusal(refuse), client)
            && self.frameworks[framework.index()].places.contains_key(&role)
        {
            let key = FilterKey { agent, role, client };
            let interval = self.options.allocation_interval;
            let timer = self.timers.start(now, refuse, interval, self.full_cycles, key);
            let Some(members) = self.roles.members_mut(role) else { return Ok(()) };
            let Some(generation) = members.get(client).map(|member| member.generation) else {
                return Ok(());
            };
            members.count_filter(client);
            let refusals = &mut self.agents[agent.index()].refusals;
            refusals.add((role, client), resources, timer, generation);
        }
        Ok(())
    }

    /// Takes back what tasks used that have ended. Unlike with [`Allocator::recover`], what is
    /// offered to the framework meanwhile is not touched.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`]; [`Error::NotHeld`] if tasks do not
    /// use that much.
    pub fn finish(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
    ) -> Result<(), Error> {
        let resources = resources.clone().unallocated();
        if let Some((framework, role, agent)) =
            self.check(framework, role, agent, &resources, |holding| &holding.used)?
        {
            self.mark_used(framework, role, agent, &resources, false);
            self.release(framework, role, agent, &resources);
        }
        Ok(())
    }

    /// Notes that tasks use what was offered to a framework.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`]; [`Error::NotHeld`].
    pub fn launch(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
    ) -> Result<(), Error> {
        let resources = resources.clone().unallocated();
        if let Some((framework, role, agent)) =
            self.check_held(framework, role, agent, &resources)?
        {
            self.mark_used(framework, role, agent, &resources, true);
        }
        Ok(())
    }

    /// Who has the resources, if they are any.
    fn check_held(
        &self,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
    ) -> Result<Option<(FrameworkId, RoleId, AgentId)>, Error> {
        self.check(framework, role, agent, resources, |holding| &holding.resources)
    }

    /// Who has the resources in a part of what it holds, if they are any.
    fn check(
        &self,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
        part: impl Fn(&Holding) -> &Resources,
    ) -> Result<Option<(FrameworkId, RoleId, AgentId)>, Error> {
        let (framework_id, agent_id) = (self.framework_id(framework)?, self.agent_id(agent)?);
        if resources.is_empty() {
            return Ok(None);
        }
        let role_id = self.roles.find(role);
        let holding =
            role_id.and_then(|role| self.agents[agent_id.index()].holding(framework_id, role));
        match (role_id, holding) {
            (Some(role_id), Some(holding)) if part(holding).contains(resources) => {
                Ok(Some((framework_id, role_id, agent_id)))
            }
            (_, holding) => Err(Error::NotHeld {
                framework: framework.to_owned(),
                role: role.to_owned(),
                agent: agent.to_owned(),
                resources: resources.to_string(),
                held: holding.map(|holding| part(holding).to_string()).unwrap_or_default(),
            }),
        }
    }

    /// Counts what tasks use.
    pub(super) fn mark_used(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        resources: &Resources,
        more: bool,
    ) {
        if resources.is_empty() {
            return;
        }
        let tally = Tally::of(resources, &mut self.names);
        self.roles.use_up(role, &tally, more);
        let holdings = &mut self.agents[agent.index()].holdings;
        let own = holdings.iter_mut().find(|h| (h.framework, h.role) == (framework, role));
        if let Some(holding) = own {
            if more { holding.used += resources } else { holding.used -= resources }
        }
    }

    /// Counts what tasks no longer use when resources are given back: what was only offered
    /// is given back first.
    fn unmark_used(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        resources: &Resources,
    ) {
        let Some(holding) = self.agents[agent.index()].holding(framework, role) else { return };
        if holding.used.is_empty() {
            return;
        }
        let offered = holding.resources.clone() - &holding.used;
        let used = resources.clone() - &offered;
        self.mark_used(framework, role, agent, &used, false);
    }
}
