//! Agents come and go.

use std::collections::{BTreeMap, BTreeSet};

use muster_resources::Resources;

use super::{Agent, Allocator, Maintenance, split};
use crate::{AgentOptions, Error, Unavailability};

impl Allocator {
    /// Adds an agent, and what frameworks use of it already, marked as allocated to their
    /// roles. Frameworks may be added later.
    ///
    /// # Errors
    /// [`Error::KnownAgent`]; [`Error::Unallocated`].
    pub fn add_agent(
        &mut self,
        id: &str,
        options: AgentOptions,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        if self.agents.contains_key(id) {
            return Err(Error::KnownAgent(id.to_owned()));
        }
        let mut held = BTreeMap::new();
        for (framework, resources) in used {
            for (role, resources) in split(&framework, &resources)? {
                held.insert((framework.clone(), role), resources);
            }
        }
        let unavailability = options.unavailability;
        let serial = self.next_serial;
        self.next_serial += 1;
        let agent =
            Agent { options, serial, active: true, held: BTreeMap::new(), maintenance: None };
        self.agents.insert(id.to_owned(), agent);
        for (client, resources) in held {
            self.hold(&client, id, resources);
        }
        self.update_unavailability(id, unavailability)
    }

    /// Changes what is known of an agent. Changed attributes end all refusals of its offers.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn update_agent(&mut self, id: &str, options: AgentOptions) -> Result<(), Error> {
        let agent = self.agents.get_mut(id).ok_or_else(|| Error::UnknownAgent(id.to_owned()))?;
        if agent.options.attributes != options.attributes {
            self.remove_filters(id);
        }
        if let Some(agent) = self.agents.get_mut(id) {
            agent.options = options;
        }
        Ok(())
    }

    /// Forgets an agent and all that is offered or used of it.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn remove_agent(&mut self, id: &str) -> Result<(), Error> {
        let agent = self.agents.get(id).ok_or_else(|| Error::UnknownAgent(id.to_owned()))?;
        for (client, resources) in agent.held.clone() {
            self.release(&client, id, &resources);
        }
        self.agents.remove(id);
        self.remove_filters(id);
        Ok(())
    }

    /// Makes an agent be offered again.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn activate_agent(&mut self, id: &str) -> Result<(), Error> {
        self.agent_mut(id)?.active = true;
        Ok(())
    }

    /// Keeps an agent from being offered; what is used of it still counts.
    ///
    /// # Errors
    /// [`Error::UnknownAgent`].
    pub fn deactivate_agent(&mut self, id: &str) -> Result<(), Error> {
        self.agent_mut(id)?.active = false;
        Ok(())
    }

    /// Whether there is such an agent.
    pub fn has_agent(&self, id: &str) -> bool {
        self.agents.contains_key(id)
    }

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
        let agent = self.agent_mut(id)?;
        agent.options.unavailability = unavailability;
        agent.maintenance = unavailability
            .map(|unavailability| Maintenance { unavailability, outstanding: BTreeSet::new() });
        for framework in self.frameworks.values_mut() {
            framework.inverse_filters.remove(id);
        }
        Ok(())
    }
}
