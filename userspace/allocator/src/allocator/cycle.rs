//! Allocation cycles.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::Allocator;
use super::looks::{Look, Queue};
use super::serve::Turn;
use crate::Grant;
use crate::amounts::Amounts;
use crate::ids::{AgentId, FrameworkId, RoleId};
use crate::wake::Looser;

/// The two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For roles that lack what is guaranteed to them.
    Guarantees,
    /// For all.
    FairShare,
}

/// A cycle while it runs.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) grants: Vec<Grant>,
    /// Grants of the first stage, to which those of the second are added.
    pub(super) first: HashMap<(AgentId, FrameworkId, RoleId), usize, FixedState>,
    /// What has to stay free for guarantees.
    pub(super) required: Amounts,
    /// What is free and not set aside.
    pub(super) available: Amounts,
    /// Agents that have to be looked at again in the next cycle.
    pub(super) restless: Vec<AgentId>,
}

impl Run {
    /// What may be given away without touching what is required, if anything is.
    pub(super) fn surplus(&self) -> Option<Amounts> {
        (!self.required.is_zero()).then(|| self.available.minus_floored(&self.required))
    }
}

/// Which agents a cycle is about.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    All,
    Some(Vec<AgentId>),
}

/// More ended filters of an agent than this are taken as a change of everything.
const MOST_ENDED: usize = 16;

impl Allocator {
    /// Hands out what is free, of all agents. Grants are in the order in which they were
    /// made, and what they hold counts as the framework's until it is recovered.
    pub fn allocate(&mut self, now: Duration) -> Vec<Grant> {
        self.candidates.clear();
        self.all_candidates = false;
        self.cycle(now, &Selection::All)
    }

    /// Hands out what is free of some agents. Agents that are not there do not count.
    pub fn allocate_agents(&mut self, now: Duration, agents: &[String]) -> Vec<Grant> {
        let numbers = agents.iter().filter_map(|id| self.agents_by_id.get(id).copied());
        let mut numbers: Vec<AgentId> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in &numbers {
            self.candidates.remove(number);
        }
        self.cycle(now, &Selection::Some(numbers))
    }

    /// Hands out what is free of the agents that something has happened to since they were
    /// last looked at: they came or changed, or a framework came or wants offers again.
    pub fn allocate_candidates(&mut self, now: Duration) -> Vec<Grant> {
        if self.all_candidates {
            return self.allocate(now);
        }
        let agents = std::mem::take(&mut self.candidates).into_iter().collect();
        self.cycle(now, &Selection::Some(agents))
    }

    /// Whether something has happened that calls for [`Allocator::allocate_candidates`].
    pub fn has_candidates(&self) -> bool {
        self.all_candidates || !self.candidates.is_empty()
    }

    fn cycle(&mut self, now: Duration, selection: &Selection) -> Vec<Grant> {
        if self.is_recovering(now) {
            return Vec::new();
        }
        let cycle = self.begin(now);
        let mut run = self.run();
        self.loosen_surplus(&run);
        let mut looks = self.looks(selection);
        let draw = self.draw.of(cycle);
        if self.roles.hungry > 0 {
            let queue = looks.queue(Stage::Guarantees, draw.of(0), &self.roles);
            self.stage(Stage::Guarantees, cycle, queue, &mut run);
            // What was kept for a guarantee that is met now may be given to others.
            if self.loosen_surplus(&run) {
                looks = self.looks(selection);
            }
        }
        let queue = looks.queue(Stage::FairShare, draw.of(1), &self.roles);
        self.stage(Stage::FairShare, cycle, queue, &mut run);
        let now = self.wake.now();
        for Look { agent, idle, .. } in looks.list {
            if idle.is_some() {
                self.roster.rest_on(agent, now);
            } else {
                self.settle(agent, now);
            }
        }
        for agent in std::mem::take(&mut run.restless) {
            if self.agents[agent.index()].is_empty() {
                self.settle(agent, now);
            } else {
                self.wake_agent(agent);
            }
        }
        if matches!(selection, Selection::All) {
            self.seen = now;
            self.full_cycles += 1;
        }
        self.surplus = run.surplus();
        self.roles.catch_up(&self.minima);
        run.grants
    }

    fn stage(&mut self, stage: Stage, cycle: u64, mut queue: Queue<'_>, run: &mut Run) {
        let mut over = queue.is_over(&self.roles, stage);
        while !over && let Some((Look { agent, idle, .. }, aim, draw)) = queue.next() {
            let turn = Turn { agent, idle, stage, cycle, aim, draw };
            if self.serve(&turn, run) {
                over = queue.is_over(&self.roles, stage)
                    || (stage == Stage::Guarantees && self.roles.hungry == 0);
            }
        }
    }

    /// Wakes all agents if more may be given away than when they were last looked at.
    fn loosen_surplus(&mut self, run: &Run) -> bool {
        let Some(before) = &self.surplus else { return false };
        let looser = run.surplus().is_none_or(|surplus| !before.covers(&surplus));
        if looser {
            self.wake.loosen_all();
            self.surplus = run.surplus();
        }
        looser
    }

    /// Starts a cycle; its number.
    fn begin(&mut self, now: Duration) -> u64 {
        self.cycles += 1;
        for timer in self.timers.ended(now, self.full_cycles) {
            self.end_filter(timer.key, timer.number);
        }
        self.cycles
    }

    fn end_filter(&mut self, key: super::FilterKey, timer: u64) {
        // The numbers of agents, roles and clients are used again, those of timers are not.
        let Some(agent) = self.agents.get_mut(key.agent.index()) else { return };
        let Some(generation) = agent.refusals.end((key.role, key.client), timer) else { return };
        if let Some(members) = self.roles.try_members_mut(key.role) {
            members.end_filter(key.client, generation);
        }
        if let Some(idle) = self.roster.find_idle(key.agent) {
            agent.quiet = Some(idle.quiet);
        }
        if agent.ended.len() == MOST_ENDED {
            self.wake_agent(key.agent);
        } else if agent.quiet.is_some() {
            // Nobody but who refused it gains.
            agent.ended.push(Looser::Member(key.role, key.client));
            self.roster.wake(key.agent);
        }
    }

    /// What a cycle starts from. The order of roles is up to date then.
    pub(super) fn run(&mut self) -> Run {
        // All that there is, less what is offered or used, what is reserved and free, and
        // what is revocable and free.
        let mut available = self.pool.amounts().clone();
        available.subtract_floored(self.roles.tree.held_by_all());
        let set_aside = self.roles.reserved.minus_floored(&self.roles.held_reserved);
        available.subtract_floored(&set_aside);
        available.subtract_floored(&self.revocable);
        self.roles.tree.refresh(&self.pool);
        Run {
            grants: Vec::new(),
            first: HashMap::default(),
            required: self.roles.missing.clone(),
            available,
            restless: Vec::new(),
        }
    }
}
