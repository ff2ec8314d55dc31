//! Operations that turn resources of agents into others.

use muster_resources::{Conversion, Operation, Problem, Resource, Resources};

use super::Allocator;
use crate::Error;
use crate::ids::{AgentId, FrameworkId, RoleId};
use crate::tally::Tally;

impl Allocator {
    /// Applies an operation to what a framework is offered or uses of an agent in a role,
    /// which is the framework's before and after.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`]; [`Error::Operation`] if it cannot
    /// be applied, for one because something that it needs is not there.
    pub fn update_allocation(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        operation: &Operation,
    ) -> Result<(), Error> {
        let conversions =
            operation.conversions().map_err(|error| Error::Operation(error.problem))?;
        self.convert_allocation(framework, role, agent, &conversions)
    }

    /// The same for steps that no operation stands for: what becomes nothing is gone from the
    /// agent. What is shared changes only when nobody else has it.
    ///
    /// # Errors
    /// Those of [`Allocator::update_allocation`].
    pub fn convert_allocation(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        conversions: &[Conversion],
    ) -> Result<(), Error> {
        let (framework, agent) = (self.framework_id(framework)?, self.agent_id(agent)?);
        let conversions: Vec<Conversion> =
            conversions.iter().cloned().map(Conversion::unallocated).collect();
        let role = self.roles.find(role);
        let known = &mut self.agents[agent.index()];
        let position = role.and_then(|role| known.position(framework, role));
        let (Some(role), Some(position)) = (role, position) else {
            return match conversions.iter().find(|conversion| !conversion.consumed.is_empty()) {
                Some(conversion) => Err(Error::Operation(Problem::NotThere {
                    missing: format!("{:#}", conversion.consumed),
                    there: "{}".to_owned(),
                })),
                None => Ok(()),
            };
        };
        let others = known.holdings.iter().enumerate().filter(|(index, _)| *index != position);
        let others = others.map(|(_, other)| &other.resources);
        let others = others.chain(known.strangers.iter().map(|stranger| &stranger.resources));
        let own = &known.holdings[position].resources;
        let consumed = conversions.iter().flat_map(|conversion| &conversion.consumed);
        for shared in consumed.filter(|entry| entry.is_shared()) {
            let more = own.count(shared) > shared.copies();
            if more || others.clone().any(|resources| resources.count(shared) > 0) {
                return Err(Error::Operation(Problem::InUse(format!("{shared:#}"))));
            }
        }
        // The agent may have been changed to have less than is held.
        known.options.total.check_all(&conversions).map_err(Error::Operation)?;
        let holding = &mut known.holdings[position];
        let offered = (!holding.used.is_empty()).then(|| holding.resources.clone() - &holding.used);
        holding.resources.convert_all(&conversions).map_err(Error::Operation)?;
        for conversion in &conversions {
            if offered.as_ref().is_some_and(|offered| !offered.contains(&conversion.consumed)) {
                self.mark_used(framework, role, agent, &conversion.consumed, false);
                self.mark_used(framework, role, agent, &conversion.converted, true);
            }
            self.exchange_held(framework, role, conversion);
            self.exchange_total(agent, conversion);
        }
        self.wake_agent(agent);
        self.loosen_quota(role);
        let holdings = &mut self.agents[agent.index()].holdings;
        if holdings[position].resources.is_empty() {
            holdings.swap_remove(position);
            self.count_agent(framework, role, false);
            self.leave_if_done(framework, role);
        }
        Ok(())
    }

    /// Counts something else in place of what a framework had. Nobody shares what changes.
    fn exchange_held(&mut self, framework: FrameworkId, role: RoleId, conversion: &Conversion) {
        let mut tally = |resources: &Resources| {
            let mut tally = Tally::default();
            resources.iter().for_each(|entry| tally.add(entry, &mut self.names));
            tally
        };
        let (old, new) = (tally(&conversion.consumed), tally(&conversion.converted));
        self.roles.exchange(role, &old, &new, &self.pool);
        let client = self.frameworks[framework.index()].places.get(&role).copied();
        if let (Some(client), Some(members)) = (client, self.roles.members_mut(role)) {
            members.tree.exchange(client, &self.pool, &old.scalars, &new.scalars);
        }
    }

    /// Makes an agent have something else in place of what it had.
    fn exchange_total(&mut self, agent: AgentId, conversion: &Conversion) {
        if conversion.consumed.is_empty() {
            // Another copy of what is shared: the agent has it already.
            return;
        }
        self.count_total(&conversion.converted, true);
        self.count_total(&conversion.consumed, false);
        let known = &mut self.agents[agent.index()];
        known.options.total -= &conversion.consumed;
        known.options.total += &conversion.converted;
        let changed = conversion.consumed.iter().chain(&conversion.converted);
        if changed.into_iter().any(Resource::is_shared) {
            known.recount_shared();
        }
    }

    /// Applies an operation to what nobody has of an agent.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`]; [`Error::Operation`] if it cannot be applied, for one because
    /// something that it needs is offered or used.
    pub fn update_available(&mut self, agent: &str, operation: &Operation) -> Result<(), Error> {
        let agent = self.agent_id(agent)?;
        let conversions =
            operation.conversions().map_err(|error| Error::Operation(error.problem))?;
        let conversions: Vec<Conversion> =
            conversions.into_iter().map(Conversion::unallocated).collect();
        let known = &self.agents[agent.index()];
        let mut available: Resources = known.available().cloned().collect();
        available.convert_all(&conversions).map_err(Error::Operation)?;
        let mut total = known.options.total.clone();
        total.convert_all(&conversions).map_err(Error::Operation)?;
        self.set_total(agent, total);
        Ok(())
    }
}
