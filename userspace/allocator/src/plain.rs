//! The allocator, as it is written down: every cycle looks at every agent, role and
//! framework, and computes anew what it can.

mod cycle;
mod filter;
mod sorter;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_resources::{Quantities, Resources, role};

use self::filter::Filter;
use self::sorter::Sorter;
use crate::{
    AgentOptions, Draw, Error, FrameworkOptions, FrameworkShare, InverseOffer, Options, Quota,
    RoleShare, Shares, Unavailability,
};

/// A framework and a role.
type Client = (String, String);

/// Offers are refused for this long at most.
const MAX_REFUSAL: Duration = Duration::from_hours(365 * 24);

/// Hands out the resources of agents to frameworks.
#[derive(Debug)]
pub struct Allocator {
    options: Options,
    draw: Draw,
    cycles: u64,
    agents: BTreeMap<String, Agent>,
    next_serial: u64,
    frameworks: BTreeMap<String, Framework>,
    role_sorter: Sorter,
    framework_sorters: BTreeMap<String, Sorter>,
    quotas: BTreeMap<String, Quota>,
    whitelist: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Agent {
    options: AgentOptions,
    /// In which order agents came, for chance to go by.
    serial: u64,
    active: bool,
    /// What is offered to or used by whom, not marked as allocated.
    held: BTreeMap<Client, Resources>,
    maintenance: Option<Maintenance>,
}

#[derive(Debug)]
struct Maintenance {
    unavailability: Unavailability,
    outstanding: BTreeSet<String>,
}

#[derive(Debug)]
struct Framework {
    options: FrameworkOptions,
    /// By role and agent.
    filters: BTreeMap<(String, String), Vec<Filter>>,
    inverse_filters: BTreeMap<String, Vec<Duration>>,
}

impl Agent {
    fn available(&self) -> Resources {
        let mut free = self.options.total.non_shared();
        for held in self.held.values() {
            free -= &held.non_shared();
        }
        free + self.options.total.shared()
    }

    fn quantities(&self) -> Quantities {
        Quantities::of_scalars(&self.options.total)
    }
}

impl Framework {
    fn is_subscribed(&self, role: &str) -> bool {
        self.options.roles.iter().any(|own| own == role)
    }

    fn wants_offers(&self, role: &str) -> bool {
        self.options.active && self.is_subscribed(role) && !self.options.suppressed.contains(role)
    }
}

impl Allocator {
    /// An allocator without agents and frameworks.
    pub fn new(options: Options) -> Self {
        Self {
            draw: Draw::new(options.seed),
            role_sorter: Sorter::new(options.role_sorter),
            options,
            cycles: 0,
            agents: BTreeMap::new(),
            next_serial: 0,
            frameworks: BTreeMap::new(),
            framework_sorters: BTreeMap::new(),
            quotas: BTreeMap::new(),
            whitelist: None,
        }
    }

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

    /// Adds a framework, and what it uses of agents already, marked as allocated to its
    /// roles. Agents that are not there do not count.
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
        let framework =
            Framework { options, filters: BTreeMap::new(), inverse_filters: BTreeMap::new() };
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
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::Role`].
    pub fn update_framework(&mut self, id: &str, options: FrameworkOptions) -> Result<(), Error> {
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
        framework.inverse_filters.clear();
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
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn remove_framework(&mut self, id: &str) -> Result<(), Error> {
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
        for agent in self.agents.values_mut() {
            if let Some(maintenance) = &mut agent.maintenance {
                maintenance.outstanding.remove(id);
            }
        }
        self.frameworks.remove(id);
        for role in roles {
            self.untrack(id, &role);
        }
        Ok(())
    }

    /// Makes a framework be offered to again, except in roles that it has suppressed.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn activate_framework(&mut self, id: &str) -> Result<(), Error> {
        self.framework_mut(id)?.options.active = true;
        self.refresh_activity(id);
        Ok(())
    }

    /// Keeps a framework from being offered to, and forgets what it refused. What it has
    /// still counts.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`].
    pub fn deactivate_framework(&mut self, id: &str) -> Result<(), Error> {
        let framework = self.framework_mut(id)?;
        framework.options.active = false;
        framework.filters.clear();
        framework.inverse_filters.clear();
        self.refresh_activity(id);
        Ok(())
    }

    /// Whether there is such a framework.
    pub fn has_framework(&self, id: &str) -> bool {
        self.frameworks.contains_key(id)
    }

    /// Sets how much a role counts against its siblings; 1 unless set.
    ///
    /// # Errors
    /// [`Error::Role`]; [`Error::Weight`].
    pub fn update_weight(&mut self, role: &str, weight: f64) -> Result<(), Error> {
        role::validate(role)?;
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::Weight(weight.to_string()));
        }
        self.role_sorter.set_weight(role, weight);
        Ok(())
    }

    /// Sets what a role without slashes is promised and may have at most.
    ///
    /// # Errors
    /// [`Error::Role`].
    pub fn update_quota(&mut self, role: &str, quota: Quota) -> Result<(), Error> {
        role::validate(role)?;
        if role.contains('/') {
            let reason = "only roles without slashes can have quota";
            return Err(muster_resources::Problem::Role { role: role.to_owned(), reason }.into());
        }
        if quota.is_default() {
            self.quotas.remove(role);
        } else {
            self.quotas.insert(role.to_owned(), quota);
        }
        Ok(())
    }

    /// Names the machines that may be offered; `None` is all.
    pub fn update_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
    }

    /// Stops offers to a framework in some roles, or in all of its roles if none is named.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::NotSubscribed`].
    pub fn suppress(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let roles = self.own_roles(framework, roles)?;
        self.framework_mut(framework)?.options.suppressed.extend(roles);
        self.refresh_activity(framework);
        Ok(())
    }

    /// Starts offers to a framework again in some roles, or in all of its roles if none is
    /// named, and forgets what it refused in them.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::NotSubscribed`].
    pub fn revive(&mut self, framework: &str, roles: &[String]) -> Result<(), Error> {
        let roles = self.own_roles(framework, roles)?;
        let known = self.framework_mut(framework)?;
        known.inverse_filters.clear();
        known.filters.retain(|(role, _), _| !roles.contains(role));
        known.options.suppressed.retain(|role| !roles.contains(role));
        self.refresh_activity(framework);
        Ok(())
    }

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

    /// Who has how much, in the order in which the next cycle would serve them.
    pub fn shares(&self) -> Shares {
        let total = self.total();
        let excluded = &self.options.excluded;
        let draw = self.draw.of(self.cycles + 1).of(1).of(0);
        let mut order = self.role_sorter.sort(&total, excluded, draw);
        let listed = order.len();
        order.extend(self.role_sorter.clients().map(|(role, _)| role.clone()));
        let mut roles: Vec<RoleShare> = Vec::new();
        for (index, role) in order.iter().enumerate() {
            if index >= listed && order[..listed].contains(role) {
                continue;
            }
            let Some(sorter) = self.framework_sorters.get(role) else { continue };
            let mut ids = sorter.sort(&total, excluded, draw.of_text(role));
            let active = ids.len();
            ids.extend(sorter.clients().filter(|(_, active)| !active).map(|(id, _)| id.clone()));
            let framework = |(index, id): (usize, String)| FrameworkShare {
                share: sorter.share(&id, &total, excluded),
                allocations: sorter.count(&id),
                active: index < active,
                id,
            };
            roles.push(RoleShare {
                name: role.clone(),
                weight: self.role_sorter.weight(role),
                share: self.role_sorter.share(role, &total, excluded),
                allocations: self.role_sorter.count(role),
                frameworks: ids.into_iter().enumerate().map(framework).collect(),
            });
        }
        Shares { roles }
    }

    fn total(&self) -> Quantities {
        let mut total = Quantities::default();
        for agent in self.agents.values() {
            total.add_all(&agent.quantities());
        }
        total
    }

    fn agent_mut(&mut self, id: &str) -> Result<&mut Agent, Error> {
        self.agents.get_mut(id).ok_or_else(|| Error::UnknownAgent(id.to_owned()))
    }

    fn framework_mut(&mut self, id: &str) -> Result<&mut Framework, Error> {
        self.frameworks.get_mut(id).ok_or_else(|| Error::UnknownFramework(id.to_owned()))
    }

    /// The named roles of a framework, or all of them.
    fn own_roles(&self, id: &str, roles: &[String]) -> Result<Vec<String>, Error> {
        let framework =
            self.frameworks.get(id).ok_or_else(|| Error::UnknownFramework(id.to_owned()))?;
        if let Some(role) = roles.iter().find(|role| !framework.is_subscribed(role)) {
            return Err(Error::NotSubscribed { framework: id.to_owned(), role: role.clone() });
        }
        Ok(if roles.is_empty() { framework.options.roles.clone() } else { roles.to_vec() })
    }

    fn remove_filters(&mut self, agent: &str) {
        for framework in self.frameworks.values_mut() {
            framework.filters.retain(|(_, filtered), _| filtered != agent);
            framework.inverse_filters.remove(agent);
        }
    }

    /// Notes that a framework has something, or more, of an agent.
    fn hold(&mut self, client: &Client, agent: &str, resources: Resources) {
        if self.frameworks.contains_key(&client.0) {
            self.count(client, agent, &resources);
        }
        if let Some(agent) = self.agents.get_mut(agent) {
            *agent.held.entry(client.clone()).or_default() += resources;
        }
    }

    /// Counts what a framework has of an agent for the shares.
    fn count(&mut self, client: &Client, agent: &str, resources: &Resources) {
        let (framework, role) = client;
        self.track(framework, role);
        self.role_sorter.allocated(role, agent, resources);
        if let Some(sorter) = self.framework_sorters.get_mut(role) {
            sorter.allocated(framework, agent, resources);
        }
    }

    /// Takes back what [`Allocator::hold`] noted.
    fn release(&mut self, client: &Client, agent: &str, resources: &Resources) {
        let (id, role) = client;
        if let Some(agent) = self.agents.get_mut(agent)
            && let Some(held) = agent.held.get_mut(client)
        {
            *held -= resources;
            if held.is_empty() {
                agent.held.remove(client);
            }
        }
        if let Some(framework) = self.frameworks.get(id) {
            let subscribed = framework.is_subscribed(role);
            self.role_sorter.unallocated(role, agent, resources);
            if let Some(sorter) = self.framework_sorters.get_mut(role) {
                sorter.unallocated(id, agent, resources);
            }
            if !subscribed {
                self.untrack(id, role);
            }
        }
    }

    /// Gives a framework its place in a role.
    fn track(&mut self, framework: &str, role: &str) {
        if !self.role_sorter.contains(role) {
            self.role_sorter.add(role);
            self.role_sorter.set_active(role, true);
        }
        let kind = self.options.framework_sorter;
        let sorter =
            self.framework_sorters.entry(role.to_owned()).or_insert_with(|| Sorter::new(kind));
        if !sorter.contains(framework) {
            sorter.add(framework);
        }
    }

    /// Takes a framework's place in a role away, if it has nothing there.
    fn untrack(&mut self, framework: &str, role: &str) {
        let Some(sorter) = self.framework_sorters.get_mut(role) else { return };
        if sorter.has_allocation(framework) {
            return;
        }
        sorter.remove(framework);
        if sorter.clients().next().is_none() {
            self.framework_sorters.remove(role);
            self.role_sorter.remove(role);
        }
    }

    /// Makes the sorters know in which roles a framework wants offers.
    fn refresh_activity(&mut self, id: &str) {
        let Some(framework) = self.frameworks.get(id) else { return };
        for (role, sorter) in &mut self.framework_sorters {
            sorter.set_active(id, framework.wants_offers(role));
        }
    }
}

fn check_roles(options: &FrameworkOptions) -> Result<(), Error> {
    options.roles.iter().try_for_each(|role| role::validate(role)).map_err(Error::from)
}

/// What is allocated to each role, without the mark.
fn split(framework: &str, resources: &Resources) -> Result<Vec<(String, Resources)>, Error> {
    resources
        .allocations()
        .into_iter()
        .map(|(role, resources)| {
            if role.is_empty() {
                let (framework, resources) = (framework.to_owned(), resources.to_string());
                return Err(Error::Unallocated { framework, resources });
            }
            Ok((role.as_str().to_owned(), resources.unallocated()))
        })
        .collect()
}
