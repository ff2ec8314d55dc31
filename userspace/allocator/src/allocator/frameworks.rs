//! Frameworks come, change and go.

use std::collections::BTreeMap;

use muster_resources::{Resources, role};

use super::{Allocator, split};
use crate::agent::{Agent, Holding};
use crate::framework::Framework;
use crate::ids::{AgentId, FrameworkId, RoleId};
use crate::role::minima;
use crate::{Error, FrameworkOptions};

impl Allocator {
    /// Adds a framework, and what it uses of agents already, marked as allocated to its
    /// roles. Of agents that know already, that is what counts; agents that are not there do
    /// not count.
    ///
    /// # Errors
    /// [`Error::KnownFramework`]; [`Error::FrameworkId`]; [`Error::Role`];
    /// [`Error::Unallocated`].
    pub fn add_framework(
        &mut self,
        id: &str,
        options: FrameworkOptions,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        if self.frameworks_by_id.contains_key(id) {
            return Err(Error::KnownFramework(id.to_owned()));
        }
        if id.is_empty() || id.contains('/') {
            return Err(Error::FrameworkId(id.to_owned()));
        }
        check_roles(&options)?;
        let mut held = Vec::new();
        for (agent, resources) in used {
            let Ok(agent) = self.agent_id(&agent) else { continue };
            for (role, resources) in split(id, &resources)? {
                held.push((agent, role, resources));
            }
        }
        let roles = options.roles.clone();
        let active = options.active;
        self.particular += usize::from(!options.min_allocatable.is_empty());
        let number = FrameworkId::from(self.frameworks.insert(Framework {
            id: id.to_owned(),
            subject: crate::draw::hash(id),
            options,
            places: BTreeMap::new(),
            inverse_filters: BTreeMap::new(),
        }));
        self.frameworks_by_id.insert(id.to_owned(), number);
        for role in &roles {
            self.join(number, role);
        }
        let known = self.strangers.remove(id).unwrap_or_default();
        for agent in &known {
            self.acquaint(number, id, *agent);
        }
        for (agent, role, resources) in held {
            if !known.contains(&agent) {
                let (role, _) = self.join(number, &role);
                self.hold_used(number, role, agent, &resources);
                self.change_agent(agent, Agent::recount);
            }
        }
        self.refresh_framework(number);
        if active {
            self.consider_all();
        }
        Ok(())
    }

    /// Counts what an agent knows of a framework that was not known before.
    fn acquaint(&mut self, framework: FrameworkId, id: &str, agent: AgentId) {
        let strangers = std::mem::take(&mut self.agents[agent.index()].strangers);
        let (own, others) = strangers.into_iter().partition(|stranger| stranger.framework == id);
        self.agents[agent.index()].strangers = others;
        let own: Vec<crate::agent::Stranger> = own;
        for stranger in own {
            let (role, _) = self.join(framework, &stranger.role);
            self.hold_used(framework, role, agent, &stranger.resources);
        }
        self.change_agent(agent, Agent::recount);
    }

    /// Changes what is known of a framework; whether it is active does not change. What it
    /// refused in roles that it leaves, or no longer suppresses, is forgotten.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::Role`].
    pub fn update_framework(&mut self, id: &str, options: FrameworkOptions) -> Result<(), Error> {
        check_roles(&options)?;
        let number = self.framework_id(id)?;
        let framework = &mut self.frameworks[number.index()];
        let active = framework.options.active;
        let old = std::mem::replace(&mut framework.options, FrameworkOptions { active, ..options });
        framework.inverse_filters.clear();
        let new = framework.options.clone();
        self.particular += usize::from(!new.min_allocatable.is_empty());
        self.particular -= usize::from(!old.min_allocatable.is_empty());
        for role in &new.roles {
            self.join(number, role);
        }
        let gone: Vec<RoleId> = old
            .roles
            .iter()
            .filter(|role| !new.roles.contains(role))
            .filter_map(|role| self.roles.find(role))
            .collect();
        let revived = old.suppressed.iter().filter(|role| !new.suppressed.contains(*role));
        let revived: Vec<RoleId> = revived.filter_map(|role| self.roles.find(role)).collect();
        for role in gone.iter().chain(&revived) {
            self.end_filters(number, *role);
        }
        self.refresh_framework(number);
        for role in gone {
            self.leave_if_done(number, role);
        }
        Ok(())
    }

    /// Brings up to date what follows from a framework's options in all of its roles.
    fn refresh_framework(&mut self, framework: FrameworkId) {
        let known = &self.frameworks[framework.index()];
        let places: Vec<(RoleId, crate::ids::ClientId)> =
            known.places.iter().map(|(role, client)| (*role, *client)).collect();
        for (role, client) in places {
            let path = &self.roles.get(role).path;
            let own = self.frameworks[framework.index()].options.min_allocatable.get(path.as_str());
            let own = own.map(|own| minima(own, &mut self.names));
            if let Some(members) = self.roles.members_mut(role) {
                members.set_minima(client, own);
            }
            self.refresh_activity(framework, role);
            self.refresh_role(role);
        }
    }

    /// Forgets a framework and all that is offered to or used by it.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn remove_framework(&mut self, id: &str) -> Result<(), Error> {
        let number = self.framework_id(id)?;
        let mut held: Vec<(AgentId, Holding)> = Vec::new();
        if self.has_anything(number) {
            for (index, agent) in &self.agents {
                let own = agent.holdings.iter().filter(|holding| holding.framework == number);
                held.extend(own.map(|holding| (AgentId::from(index), holding.clone())));
            }
        }
        for (agent, holding) in held {
            self.mark_used(number, holding.role, agent, &holding.used, false);
            self.release(number, holding.role, agent, &holding.resources);
        }
        for agent in &self.leaving {
            if let Some(maintenance) = &mut self.agents[agent.index()].maintenance {
                maintenance.outstanding.remove(&number);
                maintenance.answers.remove(&number);
            }
        }
        self.frameworks[number.index()].options.roles.clear();
        let roles: Vec<RoleId> = self.frameworks[number.index()].places.keys().copied().collect();
        for role in roles {
            self.refresh_activity(number, role);
            self.leave_if_done(number, role);
        }
        let framework = self.frameworks.remove(number.index());
        self.particular -= usize::from(!framework.options.min_allocatable.is_empty());
        self.frameworks_by_id.remove(id);
        Ok(())
    }

    fn has_anything(&self, framework: FrameworkId) -> bool {
        self.frameworks[framework.index()].places.iter().any(|(role, client)| {
            let member = self.roles.members(*role).and_then(|members| members.get(*client));
            member.is_some_and(|member| member.agents > 0)
        })
    }

    /// Makes a framework be offered to again, except in roles that it has suppressed.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn activate_framework(&mut self, id: &str) -> Result<(), Error> {
        let number = self.framework_id(id)?;
        self.frameworks[number.index()].options.active = true;
        self.refresh_framework(number);
        self.consider_all();
        Ok(())
    }

    /// Keeps a framework from being offered to, and forgets what it refused. What it has
    /// still counts.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn deactivate_framework(&mut self, id: &str) -> Result<(), Error> {
        let number = self.framework_id(id)?;
        let framework = &mut self.frameworks[number.index()];
        framework.options.active = false;
        framework.inverse_filters.clear();
        let roles: Vec<RoleId> = framework.places.keys().copied().collect();
        for role in roles {
            self.end_filters(number, role);
        }
        self.refresh_framework(number);
        Ok(())
    }

    /// Whether there is such a framework.
    pub fn has_framework(&self, id: &str) -> bool {
        self.frameworks_by_id.contains_key(id)
    }

    /// Stops offers to a framework in some roles, or in all of its roles if none is named.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::NotSubscribed`].
    pub fn suppress(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let number = self.framework_id(framework)?;
        let roles = self.own_roles(number, roles)?;
        self.frameworks[number.index()].options.suppressed.extend(roles.iter().cloned());
        for role in roles.iter().filter_map(|role| self.roles.find(role)).collect::<Vec<_>>() {
            self.refresh_activity(number, role);
        }
        Ok(())
    }

    /// Starts offers to a framework again in some roles, or in all of its roles if none is
    /// named, and forgets what it refused in them.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::NotSubscribed`].
    pub fn revive(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let number = self.framework_id(framework)?;
        let roles = self.own_roles(number, roles)?;
        let known = &mut self.frameworks[number.index()];
        known.inverse_filters.clear();
        known.options.suppressed.retain(|role| !roles.contains(role));
        for role in roles.iter().filter_map(|role| self.roles.find(role)).collect::<Vec<_>>() {
            self.end_filters(number, role);
            self.refresh_activity(number, role);
        }
        self.consider_all();
        Ok(())
    }

    /// The named roles of a framework, or all of them.
    fn own_roles(&self, number: FrameworkId, roles: &[String]) -> Result<Vec<String>, Error> {
        let framework = &self.frameworks[number.index()];
        if let Some(role) = roles.iter().find(|role| !framework.is_subscribed(role)) {
            let (framework, role) = (framework.id.clone(), role.clone());
            return Err(Error::NotSubscribed { framework, role });
        }
        Ok(if roles.is_empty() { framework.options.roles.clone() } else { roles.to_vec() })
    }

    /// Forgets what a framework refused in a role.
    fn end_filters(&mut self, framework: FrameworkId, role: RoleId) {
        if let Some(client) = self.frameworks[framework.index()].places.get(&role).copied() {
            self.roles.end_filters(role, client);
            self.wake.loosen(crate::wake::Looser::Member(role, client));
        }
    }
}

fn check_roles(options: &FrameworkOptions) -> Result<(), Error> {
    options.roles.iter().try_for_each(|role| role::validate(role)).map_err(Error::from)
}
