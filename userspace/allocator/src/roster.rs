//! Agents of which something might be given away.

use crate::ids::AgentId;

/// Agents that a cycle may have to look at, without those that have nothing free and to which
/// nothing has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    /// Something has happened to them.
    awake: Vec<AgentId>,
    idle: Vec<Idle>,
    /// By agent.
    places: Vec<Place>,
}

/// An agent of which nothing could be given to anybody, with what a cycle has to know of it.
/// There may be many, and mostly nothing more is to be known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    pub(crate) agent: AgentId,
    pub(crate) serial: u64,
    /// Since when.
    pub(crate) quiet: u64,
    /// Whether it has something for some roles only, or that goes without regard to limits.
    pub(crate) special: bool,
}

/// Which list an agent is in, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Awake(usize),
    Idle(usize),
}

impl Roster {
    pub(crate) fn awake(&self) -> &[AgentId] {
        &self.awake
    }

    pub(crate) fn idle(&self) -> &[Idle] {
        &self.idle
    }

    /// What is to be known of an agent, if it is idle.
    pub(crate) fn find_idle(&self, agent: AgentId) -> Option<&Idle> {
        match self.place(agent) {
            Place::Idle(at) => self.idle.get(at),
            Place::Nowhere | Place::Awake(_) => None,
        }
    }

    pub(crate) fn wake(&mut self, agent: AgentId) {
        if !matches!(self.place(agent), Place::Awake(_)) {
            self.remove(agent);
            self.places[agent.index()] = Place::Awake(self.awake.len());
            self.awake.push(agent);
        }
    }

    pub(crate) fn rest(&mut self, idle: Idle) {
        let agent = idle.agent;
        if let Place::Idle(at) = self.place(agent) {
            self.idle[at] = idle;
        } else {
            self.remove(agent);
            self.places[agent.index()] = Place::Idle(self.idle.len());
            self.idle.push(idle);
        }
    }

    /// Notes that still nothing can be given of an idle agent.
    pub(crate) fn rest_on(&mut self, agent: AgentId, quiet: u64) {
        if let Place::Idle(at) = self.place(agent) {
            self.idle[at].quiet = quiet;
        }
    }

    /// Takes an agent out; it has a place to be put at then.
    pub(crate) fn remove(&mut self, agent: AgentId) {
        if self.places.len() <= agent.index() {
            self.places.resize(agent.index() + 1, Place::Nowhere);
        }
        match std::mem::replace(&mut self.places[agent.index()], Place::Nowhere) {
            Place::Nowhere => {}
            Place::Awake(at) => {
                self.awake.swap_remove(at);
                if let Some(moved) = self.awake.get(at) {
                    self.places[moved.index()] = Place::Awake(at);
                }
            }
            Place::Idle(at) => {
                self.idle.swap_remove(at);
                if let Some(moved) = self.idle.get(at) {
                    self.places[moved.agent.index()] = Place::Idle(at);
                }
            }
        }
    }

    fn place(&self, agent: AgentId) -> Place {
        self.places.get(agent.index()).copied().unwrap_or(Place::Nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(number: usize, quiet: u64) -> Idle {
        Idle { agent: number.into(), serial: 0, quiet, special: false }
    }

    #[test]
    fn agents_are_in_one_list_at_most() {
        let agent = AgentId::from;
        let mut roster = Roster::default();
        for number in [3, 0, 2, 1] {
            roster.wake(agent(number));
        }
        roster.rest(idle(0, 1));
        roster.rest(idle(1, 1));
        roster.remove(agent(3));
        roster.remove(agent(7));
        roster.wake(agent(2));
        assert_eq!(roster.awake(), [agent(2)]);
        assert_eq!(roster.idle(), [idle(0, 1), idle(1, 1)]);
        roster.rest_on(agent(1), 2);
        roster.rest_on(agent(2), 2);
        roster.wake(agent(0));
        roster.rest(idle(2, 3));
        assert_eq!(roster.awake(), [agent(0)]);
        assert_eq!(roster.idle(), [idle(1, 2), idle(2, 3)]);
        assert_eq!(roster.find_idle(agent(2)), Some(&idle(2, 3)));
        assert_eq!(roster.find_idle(agent(0)), None);
    }
}
