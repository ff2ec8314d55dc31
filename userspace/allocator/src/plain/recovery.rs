//! What was given comes back; agents that are to go down are announced.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_resources::Resources;

use super::filter::Filter;
use super::{Allocator, MAX_REFUSAL};
use crate::{Error, InverseOffer};

impl Allocator {
    /// Takes back what was offered to or used by a framework. With a duration, whatever is
    /// in it is not offered to the framework in this role from this agent for so long, and
    /// for at least one cycle.
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
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero()) {
            let interval = self.options.allocation_interval;
            let filter =
                Filter::new(resources, now, refuse.min(MAX_REFUSAL), interval, self.cycles);
            let key = (role.to_owned(), agent.to_owned());
            self.framework_mut(framework)?.filters.entry(key).or_default().push(filter);
        }
        Ok(())
    }

    /// Takes an answer to an inverse offer, or forgets that it was made. With a duration,
    /// the framework is not asked about the agent again for so long.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`].
    pub fn answer_inverse_offer(
        &mut self,
        now: Duration,
        framework: &str,
        agent: &str,
        refuse: Option<Duration>,
    ) -> Result<(), Error> {
        if let Some(maintenance) = &mut self.agent_mut(agent)?.maintenance {
            maintenance.outstanding.remove(framework);
        }
        let framework = self.framework_mut(framework)?;
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero()) {
            let end = now + refuse.min(MAX_REFUSAL);
            framework.inverse_filters.entry(agent.to_owned()).or_default().push(end);
        }
        Ok(())
    }

    /// Asks the frameworks that have something on agents that will be down to leave them:
    /// once, until they answer and what they answered has run out.
    pub fn inverse_offers(&mut self, now: Duration) -> Vec<InverseOffer> {
        let mut offers = Vec::new();
        for (id, agent) in &mut self.agents {
            let Some(maintenance) = &mut agent.maintenance else { continue };
            let holders: BTreeSet<&String> =
                agent.held.keys().map(|(framework, _)| framework).collect();
            for holder in holders {
                let Some(framework) = self.frameworks.get(holder) else { continue };
                let filters = framework.inverse_filters.get(id);
                let refused = filters.is_some_and(|ends| ends.iter().any(|end| now < *end));
                if !framework.options.active || refused {
                    continue;
                }
                if maintenance.outstanding.insert(holder.clone()) {
                    offers.push(InverseOffer {
                        framework: holder.clone(),
                        agent: id.clone(),
                        unavailability: maintenance.unavailability,
                    });
                }
            }
        }
        offers.sort_by(|a, b| (&a.framework, &a.agent).cmp(&(&b.framework, &b.agent)));
        offers
    }
}
