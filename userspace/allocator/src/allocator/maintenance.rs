//! Agents that will be down, and frameworks that are asked to leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Allocator, refusal};
use crate::agent::Maintenance;
use crate::ids::{AgentId, FrameworkId};
use crate::{Error, InverseOffer, Unavailability};

impl Allocator {
    /// Plans the time in which an agent will be down, or forgets about it. Frameworks are
    /// asked again, whatever they answered before.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn update_unavailability(
        &mut self,
        id: &str,
        unavailability: Option<Unavailability>,
    ) -> Result<(), Error> {
        let agent = self.agent_id(id)?;
        self.set_unavailability(agent, unavailability);
        self.candidates.insert(agent);
        Ok(())
    }

    pub(super) fn set_unavailability(
        &mut self,
        id: AgentId,
        unavailability: Option<Unavailability>,
    ) {
        let agent = &mut self.agents[id.index()];
        agent.options.unavailability = unavailability;
        agent.maintenance = unavailability.map(|unavailability| Maintenance {
            unavailability,
            outstanding: BTreeSet::new(),
            answers: BTreeMap::new(),
        });
        if unavailability.is_some() {
            self.leaving.insert(id);
        } else {
            self.leaving.remove(&id);
        }
        self.end_inverse_filters(id);
    }

    /// Forgets who does not want inverse offers of an agent.
    pub(super) fn end_inverse_filters(&mut self, id: AgentId) {
        for framework in self.unwilling.remove(&id).unwrap_or_default() {
            if let Some(framework) = self.frameworks.get_mut(framework.index()) {
                framework.inverse_filters.remove(&id);
            }
        }
    }

    /// Asks the frameworks that have something on agents that will be down to leave them:
    /// once, until they answer, and again when what they answered has run out. Sorted by
    /// framework and agent.
    pub fn inverse_offers(&mut self, now: Duration) -> Vec<InverseOffer> {
        let leaving = self.leaving.clone();
        self.ask_holders(now, &leaving)
    }

    /// The same for some agents. Agents that are not there do not count.
    pub fn inverse_offers_of(&mut self, now: Duration, agents: &[String]) -> Vec<InverseOffer> {
        let agents = agents.iter().filter_map(|id| self.agents_by_id.get(id).copied()).collect();
        self.ask_holders(now, &agents)
    }

    fn ask_holders(&mut self, now: Duration, agents: &BTreeSet<AgentId>) -> Vec<InverseOffer> {
        let mut offers = Vec::new();
        for id in agents {
            let agent = &mut self.agents[id.index()];
            let Some(maintenance) = &mut agent.maintenance else { continue };
            let holders: BTreeSet<FrameworkId> =
                agent.holdings.iter().map(|holding| holding.framework).collect();
            for holder in holders {
                let framework = &self.frameworks[holder.index()];
                let refused = framework.inverse_filters.get(id).is_some_and(|end| now < *end);
                if framework.options.active && !refused && maintenance.outstanding.insert(holder) {
                    offers.push(InverseOffer {
                        framework: framework.id.clone(),
                        agent: agent.id.clone(),
                        unavailability: maintenance.unavailability,
                    });
                }
            }
        }
        offers.sort_by(|a, b| (&a.framework, &a.agent).cmp(&(&b.framework, &b.agent)));
        offers
    }

    /// Takes a framework's answer to an inverse offer: whether it leaves, or `None` if the
    /// offer was withdrawn. With a duration, it is not asked about the agent again for so
    /// long.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::UnknownAgent`].
    pub fn answer_inverse_offer(
        &mut self,
        now: Duration,
        framework: &str,
        agent: &str,
        leaves: Option<bool>,
        refuse: Option<Duration>,
    ) -> Result<(), Error> {
        let (framework, agent) = (self.framework_id(framework)?, self.agent_id(agent)?);
        if let Some(maintenance) = &mut self.agents[agent.index()].maintenance
            && maintenance.outstanding.remove(&framework)
            && let Some(leaves) = leaves
        {
            maintenance.answers.insert(framework, leaves);
        }
        if let Some(refuse) = refusal(refuse) {
            let end = now.saturating_add(refuse);
            let filters = &mut self.frameworks[framework.index()].inverse_filters;
            let last = filters.entry(agent).or_default();
            *last = end.max(*last);
            self.unwilling.entry(agent).or_default().insert(framework);
        }
        Ok(())
    }

    /// The last answers of frameworks to inverse offers of an agent: whether they leave.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn inverse_offer_answers(&self, agent: &str) -> Result<BTreeMap<String, bool>, Error> {
        let agent = &self.agents[self.agent_id(agent)?.index()];
        let answers = agent.maintenance.iter().flat_map(|maintenance| &maintenance.answers);
        Ok(answers.map(|(id, leaves)| (self.frameworks[id.index()].id.clone(), *leaves)).collect())
    }
}
