//! Progressive filling: tasks one by one, each for whoever has least.

use std::collections::BTreeMap;

use muster_resources::{Resource, Resources};

use super::Allocator;
use crate::amounts::Amounts;
use crate::class::{Class, Classes};
use crate::ids::{AgentId, ClientId, FrameworkId, RoleId};
use crate::tally::Tally;
use crate::tree::Order;
use crate::{Draw, Error, Grant, SorterKind, draw};

/// What a framework wants one after the other.
struct Demand {
    task: Resources,
    /// What of a task counts against quota.
    countable: Amounts,
    /// By role, the first agent that a task may fit on: what does not fit once never will.
    from: BTreeMap<RoleId, usize>,
    tasks: u64,
}

impl Allocator {
    /// Launches tasks one at a time, each for the framework that the sorters put first and
    /// whose task still fits somewhere, until none fits: progressive filling as in the paper on
    /// dominant resource fairness (Ghodsi et al., NSDI 2011, algorithm 1). `demands` has for
    /// each framework what one task of it takes, reservations included, as a framework would
    /// take it out of an offer.
    ///
    /// A task fits on an agent if the framework could be offered what it takes, in the least
    /// parts: capabilities, constraints, the whitelist and quota count, refusals and
    /// [`Options::min_allocatable`](crate::Options::min_allocatable) do not. It goes to the
    /// first agent on which it fits, in the order in which the agents came. What tasks use is
    /// theirs until it is recovered.
    ///
    /// # Errors
    /// [`Error::UnknownFramework`]; [`Error::Task`]. Nothing is launched then.
    pub fn fill(&mut self, demands: &BTreeMap<String, Resources>) -> Result<crate::Filling, Error> {
        let mut wanted = BTreeMap::new();
        for (id, task) in demands {
            let framework = self.framework_id(id)?;
            let task = task.clone().unallocated();
            if task.iter().all(Resource::is_shared) {
                return Err(Error::Task { framework: id.clone(), task: task.to_string() });
            }
            let countable = Tally::of(&task, &mut self.names).countable;
            wanted.insert(framework, Demand { task, countable, from: BTreeMap::new(), tasks: 0 });
        }
        let mut agents: Vec<AgentId> = self.agents.iter().map(|(index, _)| index.into()).collect();
        agents.retain(|id| self.agents[id.index()].active && self.agents[id.index()].listed);
        agents.sort_unstable_by_key(|id| self.agents[id.index()].serial);
        let draw = self.draw.of(self.cycles).of(2);
        let mut launches = Vec::new();
        while let Some((framework, role, agent)) =
            self.next_task(&mut wanted, &agents, draw.of(launches.len() as u64))
        {
            let Some(demand) = wanted.get_mut(&framework) else { break };
            demand.tasks += 1;
            self.hold_used(framework, role, agent, &demand.task);
            self.change_agent(agent, |agent| agent.take(&demand.task));
            let path = &self.roles.get(role).path;
            launches.push(Grant {
                framework: self.frameworks[framework.index()].id.clone(),
                role: path.to_string(),
                agent: self.agents[agent.index()].id.clone(),
                resources: demand.task.clone().allocated_to(path),
            });
        }
        let id = |framework: &FrameworkId| self.frameworks[framework.index()].id.clone();
        Ok(crate::Filling {
            tasks: wanted.iter().map(|(framework, demand)| (id(framework), demand.tasks)).collect(),
            shares: wanted.keys().map(|key| (id(key), self.dominant_share(*key))).collect(),
            launches,
        })
    }

    /// Who is next, in which role, and where the task goes.
    fn next_task(
        &mut self,
        demands: &mut BTreeMap<FrameworkId, Demand>,
        agents: &[AgentId],
        draw: Draw,
    ) -> Option<(FrameworkId, RoleId, AgentId)> {
        let surplus = self.run().surplus();
        let by_chance = self.options.role_sorter == SorterKind::Random;
        let exhausted = self.roles.active(self.roles.exhausted.iter().copied());
        if by_chance {
            self.roles.refresh_lottery();
        }
        let (tree, lottery, ..) = self.roles.parts();
        let order = if by_chance {
            let mut drawn = lottery.draw(tree, draw);
            drawn.extend(lottery.draw_some(exhausted.into_iter(), draw));
            Order::Drawn(drawn)
        } else {
            tree.walk_with(exhausted)
        };
        let clients: Vec<ClientId> = order.collect();
        for client in clients {
            let role = self.roles.of_client(client);
            for framework in self.in_turn(role, draw) {
                let Some(demand) = demands.get_mut(&framework) else { continue };
                if self.quota_allows(role, &demand.countable, surplus.as_ref())
                    && let Some(agent) = self.first_fit(framework, role, demand, agents)
                {
                    return Some((framework, role, agent));
                }
            }
        }
        None
    }

    /// The frameworks of a role that want something, in their order.
    fn in_turn(&mut self, role: RoleId, draw: Draw) -> Vec<FrameworkId> {
        let by_chance = self.options.framework_sorter == SorterKind::Random;
        let draw = draw.of(draw::hash(&self.roles.get(role).path));
        let Some(members) = self.roles.members_mut(role) else { return Vec::new() };
        members.tree.refresh(&self.pool);
        if by_chance {
            members.lottery.refresh(&members.tree);
        }
        let members = &*members;
        let order = if by_chance {
            Order::Drawn(members.lottery.draw(&members.tree, draw))
        } else {
            members.tree.walk_with(Vec::new())
        };
        order.filter_map(|client| Some(members.get(client)?.framework)).collect()
    }

    /// Whether a role may be given so much more: within its limits, and without touching what
    /// is kept for the guarantees of others.
    fn quota_allows(&self, role: RoleId, countable: &Amounts, surplus: Option<&Amounts>) -> bool {
        let top = self.roles.get(self.roles.top(role));
        let left = top.limits_left(&top.consumed()).unwrap_or_default();
        let burst = countable.minus_floored(&top.missing());
        left.iter().all(|(name, left)| countable.get(*name) <= *left)
            && surplus.is_none_or(|surplus| surplus.covers(&burst))
    }

    /// The first agent that a task fits on.
    fn first_fit(
        &self,
        framework: FrameworkId,
        role: RoleId,
        demand: &mut Demand,
        agents: &[AgentId],
    ) -> Option<AgentId> {
        let (known, path) = (&self.frameworks[framework.index()], &self.roles.get(role).path);
        let knows = known.options.capabilities;
        let class = Class::of(knows);
        let from = demand.from.entry(role).or_insert_with(|| {
            let may = |entry: &Resource| entry.is_allocatable_to(path) && knows.allow(entry);
            if demand.task.iter().all(may) { 0 } else { agents.len() }
        });
        while let Some(id) = agents.get(*from) {
            let agent = &self.agents[id.index()];
            let classes = Classes::suiting(agent, self.options.filter_gpu_resources);
            let suits = classes.contains(class)
                && (agent.options.capabilities.hierarchical_role || !path.contains('/'))
                && !known.options.offer_constraints.excludes(path, &agent.options);
            if suits && agent.has_free(&demand.task) {
                return Some(*id);
            }
            *from += 1;
        }
        None
    }

    /// Largest part that a framework has of any one resource.
    fn dominant_share(&self, framework: FrameworkId) -> f64 {
        let mut held = Amounts::default();
        for (role, client) in &self.frameworks[framework.index()].places {
            if let Some(members) = self.roles.members(*role) {
                held.add(members.tree.held(*client));
            }
        }
        self.pool.dominant_share(&held)
    }
}
