//! Which agents a cycle looks at, and for whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::Allocator;
use super::aim::Aim;
use super::cycle::{Selection, Stage};
use crate::Draw;
use crate::ids::AgentId;
use crate::roles::Roles;
use crate::roster::Idle;

/// The agents that have to be looked at, and what for.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub(super) list: Vec<Look>,
    /// What for: mostly the same for many.
    aims: Vec<Aim>,
    /// The aim of agents that became quiet at some time, if they have one.
    known: BTreeMap<Option<u64>, Option<usize>>,
    /// The one that was asked for last.
    last: Option<(Option<u64>, Option<usize>)>,
}

/// An agent that has to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) agent: AgentId,
    serial: u64,
    /// Index of the aim.
    aim: usize,
    /// What [`Idle::special`] says, for one that is idle.
    pub(super) idle: Option<bool>,
}

/// The agents of a stage, in an order by chance, which is found out as far as it is needed.
pub(super) struct Queue<'a> {
    looks: &'a Looks,
    draw: Draw,
    order: Order,
    /// For each aim how many agents there still are, and how many that are special among them.
    left: Vec<(usize, usize)>,
}

type Key = (u64, u64, usize);

enum Order {
    Sorted(std::vec::IntoIter<Key>),
    Heap(BinaryHeap<Reverse<Key>>),
}

impl Allocator {
    /// The agents that have to be looked at. Of the others, nothing could be given to anybody.
    pub(super) fn looks(&mut self, selection: &Selection) -> Looks {
        let mut looks = Looks::default();
        let mut done = Vec::new();
        match selection {
            Selection::Some(agents) => {
                for id in agents {
                    match self.roster.find_idle(*id) {
                        Some(idle) => looks.add_idle(self, idle),
                        None => done.extend(looks.add(self, *id)),
                    }
                }
            }
            Selection::All => {
                for id in self.roster.awake() {
                    done.extend(looks.add(self, *id));
                }
                // Idle agents come into question only if something got looser.
                if self.seen != self.wake.now() {
                    for idle in self.roster.idle() {
                        looks.add_idle(self, idle);
                    }
                }
            }
        }
        for id in done {
            self.settle(id, self.wake.now());
        }
        looks
    }

    /// Lets an agent be quiet: nothing of it could be given to anybody.
    pub(super) fn settle(&mut self, id: AgentId, now: u64) {
        let agent = &mut self.agents[id.index()];
        agent.quiet = Some(now);
        agent.ended.clear();
        if agent.is_empty() {
            self.roster.remove(id);
        } else {
            let (serial, special) = (agent.serial, agent.is_special());
            self.roster.rest(Idle { agent: id, serial, quiet: now, special });
        }
    }
}

impl Looks {
    /// Adds an agent that is not idle; itself if there is nothing to look at it for.
    fn add(&mut self, allocator: &Allocator, id: AgentId) -> Option<AgentId> {
        let agent = &allocator.agents[id.index()];
        if !agent.active || !agent.listed {
            return None;
        }
        let aim = if agent.is_empty() {
            None
        } else if agent.ended.is_empty() {
            self.aim_since(allocator, agent.quiet)
        } else {
            let scope = allocator.wake.since(agent.quiet).and(&agent.ended);
            Aim::of(scope).map(|aim| self.aim(aim))
        };
        let Some(aim) = aim else { return Some(id) };
        self.list.push(Look { agent: id, serial: agent.serial, aim, idle: None });
        None
    }

    fn add_idle(&mut self, allocator: &Allocator, idle: &Idle) {
        let Idle { agent, serial, quiet, special } = *idle;
        if let Some(aim) = self.aim_since(allocator, Some(quiet)) {
            self.list.push(Look { agent, serial, aim, idle: Some(special) });
        }
    }

    fn aim_since(&mut self, allocator: &Allocator, quiet: Option<u64>) -> Option<usize> {
        if let Some((last, aim)) = self.last
            && last == quiet
        {
            return aim;
        }
        let aim = match self.known.get(&quiet) {
            Some(known) => *known,
            None => Aim::of(allocator.wake.since(quiet)).map(|aim| self.aim(aim)),
        };
        self.known.insert(quiet, aim);
        self.last = Some((quiet, aim));
        aim
    }

    fn aim(&mut self, aim: Aim) -> usize {
        self.aims.push(aim);
        self.aims.len() - 1
    }

    /// The agents of which something could come in a stage.
    pub(super) fn queue(&self, stage: Stage, draw: Draw, roles: &Roles) -> Queue<'_> {
        let alive: Vec<bool> = self.aims.iter().map(|aim| is_alive(aim, stage, roles)).collect();
        let mut left = vec![(0, 0); self.aims.len()];
        let mut keys: Vec<Key> = Vec::new();
        for (index, look) in self.list.iter().enumerate() {
            let special = look.is_special();
            if alive[look.aim] || (special && stage == Stage::FairShare) {
                left[look.aim].0 += 1;
                left[look.aim].1 += usize::from(special);
                keys.push((draw.of(look.serial).number(), look.serial, index));
            }
        }
        let everybody = |(aim, (left, _)): (&Aim, &(usize, usize))| match aim {
            Aim::Everybody => *left,
            Aim::Only(_) => 0,
        };
        let to_the_end: usize = self.aims.iter().zip(&left).map(everybody).sum();
        let order = if to_the_end * 4 > keys.len() {
            keys.sort_unstable();
            Order::Sorted(keys.into_iter())
        } else {
            Order::Heap(keys.into_iter().map(Reverse).collect())
        };
        Queue { looks: self, draw, order, left }
    }
}

impl<'a> Queue<'a> {
    /// The next agent, what it is looked at for, and what else chance has in store for it.
    pub(super) fn next(&mut self) -> Option<(Look, &'a Aim, Draw)> {
        let (_, serial, index) = match &mut self.order {
            Order::Sorted(keys) => keys.next()?,
            Order::Heap(keys) => keys.pop()?.0,
        };
        let look = self.looks.list[index];
        self.left[look.aim].0 -= 1;
        self.left[look.aim].1 -= usize::from(look.is_special());
        Some((look, &self.looks.aims[look.aim], self.draw.of(serial)))
    }

    /// Whether nothing could come of the agents that are left.
    pub(super) fn is_over(&self, roles: &Roles, stage: Stage) -> bool {
        self.looks.aims.iter().zip(&self.left).all(|(aim, (left, special))| {
            *left == 0
                || ((*special == 0 || stage == Stage::Guarantees) && !is_alive(aim, stage, roles))
        })
    }
}

impl Look {
    /// Whether it may be: only of idle agents it is known.
    fn is_special(&self) -> bool {
        self.idle != Some(false)
    }
}

/// Whether any of the roles could be given something, if it is not special.
fn is_alive(aim: &Aim, stage: Stage, roles: &Roles) -> bool {
    aim.roles().is_none_or(|mut only| match stage {
        Stage::Guarantees => only.any(|role| roles.is_hungry(role)),
        Stage::FairShare => only.any(|role| roles.is_open(role)),
    })
}
