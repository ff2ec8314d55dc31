//! Frameworks come, change and go.

use std::collections::BTreeMap;

use muster_allocator::{Error, FrameworkOptions};
use muster_resources::Resources;

use super::{Client, Framework, Plain, check_roles, split};

impl Plain {
    /// Adds a framework, and what it uses of agents already, marked as allocated to its
    /// roles. Agents that are not there do not count.
    pub(crate) fn add_framework(
        &mut self,
        id: &str,
        options: FrameworkOptions,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        if self.frameworks.contains_key(id) {
            return Err(Error::KnownFramework(id.to_owned()));
        }
        if id.is_empty() || id.contains('/') {
            return Err(Error::FrameworkId(id.to_owned()));
        }
        check_roles(&options)?;
        let mut held = Vec::new();
        for (agent, resources) in used {
            for (role, resources) in split(id, &resources)? {
                held.push(((id.to_owned(), role), agent.clone(), resources));
            }
        }
        let roles = options.roles.clone();
        let framework = Framework { options, filters: BTreeMap::new() };
        self.frameworks.insert(id.to_owned(), framework);
        for role in roles {
            self.track(id, &role);
        }
        // Agents that came first know already what it uses of them.
        let known: Vec<(Client, String, Resources)> = self
            .agents
            .iter()
            .flat_map(|(agent, known)| {
                let own = known.held.iter().filter(|((framework, _), _)| framework == id);
                own.map(|(client, held)| (client.clone(), agent.clone(), held.clone()))
            })
            .collect();
        for (client, agent, resources) in &known {
            self.count(client, agent, resources);
        }
        for (client, agent, resources) in held {
            let is_known = known.iter().any(|(own, on, _)| (own, on) == (&client, &agent));
            if !is_known && self.agents.contains_key(&agent) {
                self.hold(&client, &agent, resources);
            }
        }
        self.refresh_activity(id);
        Ok(())
    }

    /// Changes what is known of a framework; whether it is active does not change.
    pub(crate) fn update_framework(
        &mut self,
        id: &str,
        options: FrameworkOptions,
    ) -> Result<(), Error> {
        check_roles(&options)?;
        let framework = self.framework_mut(id)?;
        let active = framework.options.active;
        let old = std::mem::replace(&mut framework.options, FrameworkOptions { active, ..options });
        let new = &framework.options;
        let gone: Vec<String> =
            old.roles.iter().filter(|r| !new.roles.contains(r)).cloned().collect();
        let revived = old.suppressed.difference(&new.suppressed).cloned().collect::<Vec<_>>();
        let revived: Vec<String> = revived.into_iter().filter(|r| new.roles.contains(r)).collect();
        let roles = new.roles.clone();
        framework.filters.retain(|(role, _), _| !gone.contains(role) && !revived.contains(role));
        for role in roles {
            self.track(id, &role);
        }
        self.refresh_activity(id);
        for role in gone {
            self.untrack(id, &role);
        }
        Ok(())
    }

    /// Forgets a framework and all that is offered to or used by it.
    pub(crate) fn remove_framework(&mut self, id: &str) -> Result<(), Error> {
        let roles = self.framework_mut(id)?.options.roles.clone();
        let held: Vec<(Client, String, Resources)> = self
            .agents
            .iter()
            .flat_map(|(agent, known)| {
                let own = known.held.iter().filter(|((framework, _), _)| framework == id);
                own.map(|(client, held)| (client.clone(), agent.clone(), held.clone()))
            })
            .collect();
        for (client, agent, resources) in held {
            self.release(&client, &agent, &resources);
        }
        self.frameworks.remove(id);
        for role in roles {
            self.untrack(id, &role);
        }
        Ok(())
    }

    /// Makes a framework be offered to again, except in roles that it has suppressed.
    pub(crate) fn activate_framework(&mut self, id: &str) -> Result<(), Error> {
        self.framework_mut(id)?.options.active = true;
        self.refresh_activity(id);
        Ok(())
    }

    /// Keeps a framework from being offered to, and forgets what it refused. What it has
    /// still counts.
    pub(crate) fn deactivate_framework(&mut self, id: &str) -> Result<(), Error> {
        let framework = self.framework_mut(id)?;
        framework.options.active = false;
        framework.filters.clear();
        self.refresh_activity(id);
        Ok(())
    }

    /// Stops offers to a framework in some roles, or in all of its roles if none is named.
    pub(crate) fn suppress(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let roles = self.own_roles(framework, roles)?;
        self.framework_mut(framework)?.options.suppressed.extend(roles);
        self.refresh_activity(framework);
        Ok(())
    }

    /// Starts offers to a framework again in some roles, or in all of its roles if none is
    /// named, and forgets what it refused in them.
    pub(crate) fn revive(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let roles = self.own_roles(framework, roles)?;
        let known = self.framework_mut(framework)?;
        known.filters.retain(|(role, _), _| !roles.contains(role));
        known.options.suppressed.retain(|role| !roles.contains(role));
        self.refresh_activity(framework);
        Ok(())
    }
}
