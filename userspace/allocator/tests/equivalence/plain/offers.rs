//! What becomes of offers.

use std::time::Duration;

use muster_allocator::Error;
use muster_resources::{Conversion, Operation, Problem, Resources};

use super::filter::Filter;
use super::{MAX_REFUSAL, Plain};

impl Plain {
    /// Takes back what was offered to or used by a framework. With a duration, whatever is
    /// in it is not offered to the framework in this role from this agent for so long, and
    /// for at least one cycle.
    pub(crate) fn recover(
        &mut self,
        now: Duration,
        framework: &str,
        role: &str,
        agent: &str,
        resources: &Resources,
        refuse: Option<Duration>,
    ) -> Result<(), Error> {
        let resources = resources.clone().unallocated();
        if !self.frameworks.contains_key(framework) {
            return Err(Error::UnknownFramework(framework.to_owned()));
        }
        let known = self.agents.get(agent).ok_or_else(|| Error::UnknownAgent(agent.to_owned()))?;
        if resources.is_empty() {
            return Ok(());
        }
        let client = (framework.to_owned(), role.to_owned());
        let held = known.held.get(&client).cloned().unwrap_or_default();
        if !held.contains(&resources) {
            return Err(Error::NotHeld {
                framework: client.0,
                role: client.1,
                agent: agent.to_owned(),
                resources: resources.to_string(),
                held: held.to_string(),
            });
        }
        self.release(&client, agent, &resources);
        let sorter = self.framework_sorters.get(role);
        if !sorter.is_some_and(|sorter| sorter.contains(framework)) {
            return Ok(());
        }
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero()) {
            let interval = self.options.allocation_interval;
            let filter =
                Filter::new(resources, now, refuse.min(MAX_REFUSAL), interval, self.full_cycles);
            let key = (role.to_owned(), agent.to_owned());
            self.framework_mut(framework)?.filters.entry(key).or_default().push(filter);
        }
        Ok(())
    }

    /// Applies an operation to what a framework has of an agent.
    pub(crate) fn update_allocation(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        operation: &Operation,
    ) -> Result<(), Error> {
        let conversions =
            operation.conversions().map_err(|error| Error::Operation(error.problem))?;
        self.convert_allocation(framework, role, agent, conversions)
    }

    /// The same step by step.
    pub(crate) fn convert_allocation(
        &mut self,
        framework: &str,
        role: &str,
        agent: &str,
        conversions: Vec<Conversion>,
    ) -> Result<(), Error> {
        let client = (framework.to_owned(), role.to_owned());
        if !self.frameworks.contains_key(&client.0) {
            return Err(Error::UnknownFramework(client.0));
        }
        let known = self.agents.get(agent).ok_or_else(|| Error::UnknownAgent(agent.to_owned()))?;
        let old = known.held.get(&client).cloned().unwrap_or_default();
        let (mut held, mut total) = (old.clone(), known.options.total.clone());
        for conversion in conversions {
            for shared in conversion.consumed.iter().filter(|entry| entry.is_shared()) {
                let mut others = known.held.iter().filter(|(other, _)| **other != client);
                if held.count(shared) > shared.copies()
                    || others.any(|(_, held)| held.count(shared) > 0)
                {
                    return Err(Error::Operation(Problem::InUse(shared.to_string())));
                }
            }
            held = held.convert(&conversion).map_err(Error::Operation)?;
            total = total.convert(&conversion).map_err(Error::Operation)?;
        }
        if held == old {
            return Ok(());
        }
        self.role_sorter.update(&client.1, agent, &old, &held);
        if let Some(sorter) = self.framework_sorters.get_mut(&client.1) {
            sorter.update(&client.0, agent, &old, &held);
        }
        let nothing = held.is_empty();
        if let Some(known) = self.agents.get_mut(agent) {
            known.held.insert(client.clone(), held);
            known.held.retain(|_, held| !held.is_empty());
            known.options.total = total;
        }
        let is_subscribed =
            self.frameworks.get(framework).is_some_and(|known| known.is_subscribed(role));
        if nothing && !is_subscribed {
            self.untrack(framework, role);
        }
        Ok(())
    }
}
