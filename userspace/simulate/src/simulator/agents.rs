//! Agents come, change, go, and will be down.

use std::collections::BTreeMap;

use muster_allocator::{AgentCapabilities, AgentOptions, Domain, Unavailability};
use muster_api::mesos::agent_info;
use muster_resources::Resources;

use super::Simulator;
use crate::command::{AddAgent, Answer, Maintenance, Site, UpdateAgent};
use crate::error::{Problem, Refusal, at, refused};
use crate::labels::AgentCapability;

impl Simulator {
    pub(super) fn add_agent(&mut self, add: AddAgent) -> Result<(), Refusal> {
        const NAME: &str = "add_agent";
        let total = add.resources.0;
        let mut used: BTreeMap<String, Resources> = BTreeMap::new();
        let mut free = total.clone();
        for (index, part) in add.used.into_iter().enumerate() {
            let resources = part.resources.0.unallocated();
            let (own, shared) = (resources.non_shared(), resources.shared());
            if !free.contains(&own) || !total.contains(&shared) {
                let there = format!("{free:#}");
                let of = format!("what is left of agent {:?}", add.id);
                let problem = Problem::NotThere { wanted: format!("{resources:#}"), of, there };
                return Err(at(format!("{NAME}.used[{index}].resources"))(problem));
            }
            free -= &own;
            *used.entry(part.framework).or_default() += resources.allocated_to(&part.role.0);
        }
        let options = AgentOptions {
            hostname: add.hostname.unwrap_or_else(|| add.id.clone()),
            total,
            attributes: add.attributes.0,
            domain: add.domain.map(Into::into),
            capabilities: add
                .capabilities
                .map_or_else(Default::default, |known| capabilities(&known)),
            unavailability: None,
        };
        self.allocator.add_agent(&add.id, options.clone(), used).map_err(refused(NAME, "id"))?;
        self.agents.insert(add.id, options);
        Ok(())
    }

    pub(super) fn update_agent(&mut self, update: UpdateAgent) -> Result<(), Refusal> {
        let refused = || refused("update_agent", "id");
        let total = self.allocator.total(&update.id).map_err(refused())?.clone();
        let mut options = self.agents.get(&update.id).cloned().unwrap_or_default();
        // Operations may have changed it.
        options.total = update.resources.map_or(total, |resources| resources.0);
        if let Some(attributes) = update.attributes {
            options.attributes = attributes.0;
        }
        if let Some(hostname) = update.hostname {
            options.hostname = hostname;
        }
        if let Some(site) = update.domain {
            options.domain = Some(site.into());
        }
        if let Some(known) = update.capabilities {
            options.capabilities = capabilities(&known);
        }
        self.allocator.update_agent(&update.id, options.clone()).map_err(refused())?;
        self.agents.insert(update.id, options);
        Ok(())
    }

    pub(super) fn remove_agent(&mut self, id: &str) -> Result<(), Refusal> {
        self.allocator.remove_agent(id).map_err(refused("remove_agent", "id"))?;
        self.agents.remove(id);
        self.offers.retain(|place, _| place.agent != id);
        self.asked.retain(|(_, agent)| agent != id);
        Ok(())
    }

    pub(super) fn maintain(&mut self, plan: &Maintenance) -> Result<(), Refusal> {
        const NAME: &str = "maintenance";
        let duration = plan.duration.map(|duration| duration.0);
        let unavailability = match plan.start {
            Some(start) => Some(Unavailability { start: start.0, duration }),
            None if duration.is_some() => {
                return Err(at(format!("{NAME}.start"))(Problem::NoStart));
            }
            None => None,
        };
        self.allocator
            .update_unavailability(&plan.agent, unavailability)
            .map_err(refused(NAME, "agent"))?;
        self.asked.retain(|(_, agent)| *agent != plan.agent);
        Ok(())
    }

    pub(super) fn answer(&mut self, answer: Answer, leaves: bool) -> Result<(), Refusal> {
        let name = if leaves { "accept_inverse" } else { "decline_inverse" };
        let Answer { framework, agent, refuse_seconds } = answer;
        self.allocator.total(&agent).map_err(refused(name, "agent"))?;
        let key = (framework, agent);
        if !self.asked.contains(&key) {
            let (framework, agent) = key;
            return Err(at(name)(Problem::NotAsked { framework, agent }));
        }
        let refuse = Some(refuse_seconds.0);
        self.allocator
            .answer_inverse_offer(self.now, &key.0, &key.1, Some(leaves), refuse)
            .map_err(refused(name, "framework"))?;
        self.asked.remove(&key);
        Ok(())
    }
}

impl From<Site> for Domain {
    fn from(site: Site) -> Self {
        Self { region: site.region, zone: site.zone }
    }
}

fn capabilities(known: &[AgentCapability]) -> AgentCapabilities {
    let messages: Vec<agent_info::Capability> = known
        .iter()
        .map(|known| {
            let mut message = agent_info::Capability::default();
            message.set_type(known.0);
            message
        })
        .collect();
    AgentCapabilities::from_proto(&messages)
}
