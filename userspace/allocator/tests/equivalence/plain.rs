//! The allocator as the rules are written down: every cycle looks at every agent, role and
//! framework, and computes anew what it can.

mod cycle;
mod fill;
mod filter;
mod frameworks;
mod offers;
mod sorter;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_resources::{Problem, Quantities, Resources, role};

use self::filter::Filter;
use self::sorter::Sorter;
use muster_allocator::{
    AgentOptions, Draw, Error, FrameworkOptions, FrameworkShare, Options, Quota, RoleShare, Shares,
};

/// A framework and a role.
type Client = (String, String);

/// Offers are refused for this long at most.
const MAX_REFUSAL: Duration = Duration::from_hours(365 * 24);

/// Hands out the resources of agents to frameworks.
#[derive(Debug)]
pub(crate) struct Plain {
    options: Options,
    draw: Draw,
    cycles: u64,
    /// How many of them were over all agents.
    full_cycles: u64,
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
}

#[derive(Debug)]
struct Framework {
    options: FrameworkOptions,
    /// By role and agent.
    filters: BTreeMap<(String, String), Vec<Filter>>,
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

impl Plain {
    /// An allocator without agents and frameworks.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            draw: Draw::new(options.seed),
            role_sorter: Sorter::new(options.role_sorter),
            options,
            cycles: 0,
            full_cycles: 0,
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
    pub(crate) fn add_agent(
        &mut self,
        id: &str,
        options: AgentOptions,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        if self.agents.contains_key(id) {
            return Err(Error::KnownAgent(id.to_owned()));
        }
        let held = by_client(used)?;
        let serial = self.next_serial;
        self.next_serial += 1;
        let agent = Agent { options, serial, active: true, held: BTreeMap::new() };
        self.agents.insert(id.to_owned(), agent);
        for (client, resources) in held {
            self.hold(&client, id, resources);
        }
        Ok(())
    }

    /// Adds to an agent what a resource provider has, and what frameworks use besides.
    pub(crate) fn add_resource_provider(
        &mut self,
        id: &str,
        resources: &Resources,
        used: BTreeMap<String, Resources>,
    ) -> Result<(), Error> {
        let agent = self.agents.get_mut(id).ok_or_else(|| Error::UnknownAgent(id.to_owned()))?;
        let held = by_client(used)?;
        agent.options.total += resources;
        for (client, resources) in held {
            self.hold(&client, id, resources);
        }
        Ok(())
    }

    /// Changes what is known of an agent. Changed attributes end all refusals of its offers.
    pub(crate) fn update_agent(&mut self, id: &str, options: AgentOptions) -> Result<(), Error> {
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
    pub(crate) fn remove_agent(&mut self, id: &str) -> Result<(), Error> {
        let agent = self.agents.get(id).ok_or_else(|| Error::UnknownAgent(id.to_owned()))?;
        for (client, resources) in agent.held.clone() {
            self.release(&client, id, &resources);
        }
        self.agents.remove(id);
        self.remove_filters(id);
        Ok(())
    }

    /// Makes an agent be offered again.
    pub(crate) fn activate_agent(&mut self, id: &str) -> Result<(), Error> {
        self.agent_mut(id)?.active = true;
        Ok(())
    }

    /// Keeps an agent from being offered; what is used of it still counts.
    pub(crate) fn deactivate_agent(&mut self, id: &str) -> Result<(), Error> {
        self.agent_mut(id)?.active = false;
        Ok(())
    }

    /// Sets how much a role counts against its siblings; 1 unless set.
    pub(crate) fn update_weight(&mut self, role: &str, weight: f64) -> Result<(), Error> {
        role::validate(role)?;
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::Weight(weight.to_string()));
        }
        self.role_sorter.set_weight(role, weight);
        Ok(())
    }

    /// Sets what a role without slashes is promised and may have at most.
    pub(crate) fn update_quota(&mut self, role: &str, quota: Quota) -> Result<(), Error> {
        role::validate(role)?;
        if role.contains('/') {
            let reason = "only roles without slashes can have quota";
            return Err(Problem::Role { role: role.to_owned(), reason }.into());
        }
        if quota.is_default() {
            self.quotas.remove(role);
        } else {
            self.quotas.insert(role.to_owned(), quota);
        }
        Ok(())
    }

    /// Names the machines that may be offered; `None` is all.
    pub(crate) fn update_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
    }

    /// Who has how much, in the order in which the next cycle would serve them.
    pub(crate) fn shares(&self) -> Shares {
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

    /// Takes back what [`Plain::hold`] noted.
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
        // Mesos keeps what was refused, for a framework that comes back in time.
        if let Some(known) = self.frameworks.get_mut(framework) {
            known.filters.retain(|(other, _), _| other != role);
        }
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

fn by_client(used: BTreeMap<String, Resources>) -> Result<BTreeMap<Client, Resources>, Error> {
    let mut held = BTreeMap::new();
    for (framework, resources) in used {
        for (role, resources) in split(&framework, &resources)? {
            held.insert((framework.clone(), role), resources);
        }
    }
    Ok(held)
}
