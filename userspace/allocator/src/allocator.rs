//! The allocator's state, and what all of its parts use.

mod agents;
mod aim;
mod cycle;
mod fill;
mod frameworks;
mod looks;
mod maintenance;
mod offers;
mod operations;
mod policy;
mod recovery;
mod serve;
mod view;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_resources::Resources;
use slab::Slab;

use crate::agent::Agent;
use crate::amounts::Amounts;
use crate::class::Traits;
use crate::filter::Timers;
use crate::framework::Framework;
use crate::ids::{AgentId, ClientId, FrameworkId, RoleId};
use crate::map::{Map, seeded};
use crate::names::Names;
use crate::pool::Pool;
use crate::role::minima;
use crate::roles::{Roles, Sums};
use crate::roster::Roster;
use crate::tally::Tally;
use crate::timer::Timer;
use crate::wake::{Looser, Wake};
use crate::{Draw, Error, Options};

use self::recovery::Recovery;

/// Hands out the resources of agents to frameworks.
#[derive(Clone, Debug)]
pub struct Allocator {
    options: Options,
    /// [`Options::min_allocatable`] with numbers for names.
    minima: Vec<Amounts>,
    draw: Draw,
    names: Names,
    pool: Pool,
    agents: Slab<Agent>,
    agents_by_id: Map<String, AgentId>,
    next_serial: u64,
    frameworks: Slab<Framework>,
    frameworks_by_id: Map<String, FrameworkId>,
    roles: Roles,
    whitelist: Option<BTreeSet<String>>,
    /// Revocable scalars that nobody has, of all agents.
    revocable: Amounts,
    /// Which agents know something of frameworks that are not known.
    strangers: BTreeMap<String, BTreeSet<AgentId>>,
    /// Agents that will be down.
    leaving: BTreeSet<AgentId>,
    /// Frameworks that may have filters of inverse offers, by agent.
    unwilling: BTreeMap<AgentId, BTreeSet<FrameworkId>>,
    /// How many cycles there have been.
    cycles: u64,
    /// How many of them were over all agents.
    full_cycles: u64,
    timers: Timers<FilterKey>,
    wake: Wake,
    roster: Roster,
    /// Up to when all agents have been looked at.
    seen: u64,
    /// What could be given away at the end of the last cycle, if something was held back.
    surplus: Option<Amounts>,
    /// Agents that something has happened to since they were last looked at.
    candidates: BTreeSet<AgentId>,
    /// Whether all agents are candidates.
    all_candidates: bool,
    recovery: Option<Recovery>,
    /// How many frameworks have minima of their own in some role.
    particular: usize,
    /// How long cycles took, and how long they were waited for.
    runs: Timer,
    latencies: Timer,
}

/// Whose filter of which agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FilterKey {
    agent: AgentId,
    role: RoleId,
    client: ClientId,
}

impl Allocator {
    /// An allocator without agents and frameworks.
    pub fn new(options: Options) -> Self {
        let seed = options.seed;
        let mut names = Names::default();
        let excluded = options.excluded.iter().map(|name| names.number(name)).collect();
        Self {
            minima: minima(&options.min_allocatable, &mut names),
            draw: Draw::new(seed),
            pool: Pool::new(excluded),
            names,
            options,
            agents: Slab::new(),
            agents_by_id: seeded(seed),
            next_serial: 0,
            frameworks: Slab::new(),
            frameworks_by_id: seeded(seed),
            roles: Roles::new(seed),
            whitelist: None,
            revocable: Amounts::default(),
            strangers: BTreeMap::new(),
            leaving: BTreeSet::new(),
            unwilling: BTreeMap::new(),
            cycles: 0,
            full_cycles: 0,
            timers: Timers::default(),
            wake: Wake::default(),
            roster: Roster::default(),
            seen: 0,
            surplus: None,
            candidates: BTreeSet::new(),
            all_candidates: false,
            recovery: None,
            particular: 0,
            runs: Timer::default(),
            latencies: Timer::default(),
        }
    }

    fn agent_id(&self, id: &str) -> Result<AgentId, Error> {
        self.agents_by_id.get(id).copied().ok_or_else(|| Error::UnknownAgent(id.to_owned()))
    }

    fn framework_id(&self, id: &str) -> Result<FrameworkId, Error> {
        self.frameworks_by_id.get(id).copied().ok_or_else(|| Error::UnknownFramework(id.to_owned()))
    }

    /// Makes sure that an agent is looked at in the next cycle.
    fn wake_agent(&mut self, id: AgentId) {
        let agent = &mut self.agents[id.index()];
        agent.quiet = None;
        agent.ended.clear();
        self.roster.wake(id);
    }

    /// Makes all agents candidates for the next cycle that is about candidates only.
    fn consider_all(&mut self) {
        self.all_candidates = true;
    }

    /// Notes that the role, or the one without slashes above it, may have got further away
    /// from its limits or short of its guarantees.
    fn loosen_quota(&mut self, role: RoleId) {
        let top = self.roles.top(role);
        if self.roles.get(top).quota.is_some() {
            self.roles.refresh_quota(top, &self.minima);
            self.wake.loosen(Looser::Role(top));
        }
    }

    /// Changes an agent and keeps the sums over all agents right.
    fn change_agent<T>(&mut self, id: AgentId, change: impl FnOnce(&mut Agent) -> T) -> T {
        let agent = &mut self.agents[id.index()];
        let has_revocable =
            agent.options.total.iter().any(muster_resources::Resource::is_revocable);
        if has_revocable {
            self.revocable.subtract(&agent.revocable(&mut self.names));
        }
        let result = change(agent);
        self.revocable.add(&agent.revocable(&mut self.names));
        result
    }

    /// Gives a framework its place in a role, if it has none.
    fn join(&mut self, framework: FrameworkId, role: &str) -> (RoleId, ClientId) {
        let role = self.roles.make(role);
        let known = &mut self.frameworks[framework.index()];
        if let Some(client) = known.places.get(&role) {
            return (role, *client);
        }
        let client = self.roles.join(role, &known.id, framework);
        known.places.insert(role, client);
        (role, client)
    }

    /// Takes a framework's place in a role away, unless it is subscribed to the role or has
    /// something in it.
    fn leave_if_done(&mut self, framework: FrameworkId, role: RoleId) {
        let known = &self.frameworks[framework.index()];
        let Some(client) = known.places.get(&role).copied() else { return };
        let member = self.roles.members(role).and_then(|members| members.get(client));
        let has_something = member.is_some_and(|member| member.agents > 0);
        if has_something || known.is_subscribed(&self.roles.get(role).path) {
            return;
        }
        let name = known.id.clone();
        self.frameworks[framework.index()].places.remove(&role);
        self.roles.leave(role, &name, client);
        self.wake.forget(|who| *who == Looser::Member(role, client));
        self.refresh_role(role);
        self.forget_role(role);
    }

    /// Forgets a role of which there is nothing to know any more.
    fn forget_role(&mut self, role: RoleId) {
        let gone = self.roles.forget_if_empty(role);
        if !gone.is_empty() {
            self.wake.forget(
                |who| matches!(who, Looser::Role(id) | Looser::Member(id, _) if gone.contains(id)),
            );
        }
    }

    /// Brings up to date who wants something in a role.
    fn refresh_role(&mut self, role: RoleId) {
        self.roles.refresh_members(role);
        if self.roles.get(role).parent.is_none() {
            self.roles.refresh_quota(role, &self.minima);
        }
    }

    /// Brings up to date whether a framework wants something in a role.
    fn refresh_activity(&mut self, framework: FrameworkId, role: RoleId) {
        let known = &self.frameworks[framework.index()];
        let Some(client) = known.places.get(&role).copied() else { return };
        let wants = known.wants(&self.roles.get(role).path);
        let traits = Traits::of(&known.options);
        let Some(members) = self.roles.members_mut(role) else { return };
        if members.set_active(client, wants, traits) {
            self.refresh_role(role);
        }
        if wants {
            self.wake.loosen(Looser::Member(role, client));
        }
    }

    /// Notes that tasks of a framework use something more of an agent, of which is to be counted
    /// anew what is free.
    fn hold_used(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        used: &Resources,
    ) {
        let tally = Tally::of(used, &mut self.names);
        self.count(framework, role, agent, tally, true);
        self.note_held(framework, role, agent, used.clone());
        self.mark_used(framework, role, agent, used, true);
    }

    /// The same when it is no longer free already, and counted.
    fn note_held(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        resources: Resources,
    ) {
        if self.agents[agent.index()].hold(framework, role, resources) {
            self.count_agent(framework, role, true);
        }
    }

    /// Notes that a framework has something of an agent no more.
    fn release(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        resources: &Resources,
    ) {
        let nothing = self.change_agent(agent, |agent| agent.release(framework, role, resources));
        let tally = Tally::of(resources, &mut self.names);
        self.count(framework, role, agent, tally, false);
        if nothing {
            self.count_agent(framework, role, false);
        }
        self.wake_agent(agent);
        self.loosen_quota(role);
        self.leave_if_done(framework, role);
    }

    fn count_agent(&mut self, framework: FrameworkId, role: RoleId, more: bool) {
        let Some(client) = self.frameworks[framework.index()].places.get(&role).copied() else {
            return;
        };
        if let Some(member) =
            self.roles.members_mut(role).and_then(|members| members.get_mut(client))
        {
            member.agents = if more { member.agents + 1 } else { member.agents - 1 };
        }
    }

    /// Adds to or takes from what a framework and its role have. The agent's holdings are
    /// those without the resources.
    fn count(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        tally: Tally,
        more: bool,
    ) {
        let Some(client) = self.frameworks[framework.index()].places.get(&role).copied() else {
            return;
        };
        let (own, sums) = self.sums(framework, role, agent, tally);
        if more {
            self.roles.hold(role, &sums, &self.pool);
        } else {
            self.roles.release(role, &sums, &self.pool);
        }
        if let Some(members) = self.roles.members_mut(role) {
            if more {
                members.tree.credit(client, &self.pool, |_| &own);
            } else {
                members.tree.debit(client, &self.pool, |_| &own);
            }
        }
        let top = self.roles.top(role);
        if self.roles.get(top).quota.is_some() {
            self.roles.refresh_quota(top, &self.minima);
        }
    }

    /// How much resources count for the framework, and for its role on each level. What is
    /// shared counts where nobody has it yet.
    fn sums(
        &mut self,
        framework: FrameworkId,
        role: RoleId,
        agent: AgentId,
        mut tally: Tally,
    ) -> (Amounts, Sums) {
        let shared = std::mem::take(&mut tally.shared);
        if shared.is_empty() {
            return (tally.scalars.clone(), Sums::same(tally));
        }
        let chain: Vec<RoleId> = self.roles.up(role).collect();
        let mut own = tally.clone();
        // The client, each role upwards, and all roles together.
        let mut levels = vec![tally; chain.len() + 2];
        for entry in &shared {
            let holders: Vec<(FrameworkId, RoleId)> = self.agents[agent.index()]
                .holdings
                .iter()
                .filter(|holding| holding.resources.count(entry) > 0)
                .map(|holding| (holding.framework, holding.role))
                .collect();
            if !holders.contains(&(framework, role)) {
                own.add(entry, &mut self.names);
            }
            if holders.iter().all(|(_, other)| *other != role) {
                levels[0].add(entry, &mut self.names);
            }
            for (step, above) in chain.iter().enumerate() {
                let is_below = |other: &RoleId| self.roles.up(*other).any(|up| up == *above);
                if !holders.iter().any(|(_, other)| is_below(other)) {
                    levels[step + 1].add(entry, &mut self.names);
                }
            }
            if holders.is_empty() {
                levels[chain.len() + 1].add(entry, &mut self.names);
            }
        }
        (own.scalars, Sums::by_level(levels))
    }
}

/// What is allocated to each role, without the mark.
fn split(framework: &str, resources: &Resources) -> Result<BTreeMap<String, Resources>, Error> {
    resources
        .allocations()
        .into_iter()
        .map(|(role, resources)| {
            if role.is_empty() {
                let (framework, resources) = (framework.to_owned(), resources.to_string());
                return Err(Error::Unallocated { framework, resources });
            }
            muster_resources::role::validate(&role)?;
            Ok((role.as_str().to_owned(), resources.unallocated()))
        })
        .collect()
}

/// A refusal that counts: not of no time, and not for longer than a year.
fn refusal(refuse: Option<Duration>) -> Option<Duration> {
    refuse.filter(|refuse| !refuse.is_zero()).map(|refuse| refuse.min(crate::filter::LONGEST))
}
