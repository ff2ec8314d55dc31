//! Agents of which something might be given away.

use crate::ids::AgentId;

/// Agents that a cycle may have to look at, without those that have nothing free and to which
/// nothing has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    /// Something has happened to them.
    awake: Vec<AgentId>,
    /// Nothing of what is free could be given to anybody.
    idle: Vec<AgentId>,
    /// By agent.
    places: Vec<Place>,
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

    /// All that are in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.awake.iter().chain(&self.idle).copied()
    }

    pub(crate) fn wake(&mut self, agent: AgentId) {
        if !matches!(self.place(agent), Place::Awake(_)) {
            self.remove(agent);
            self.places[agent.index()] = Place::Awake(self.awake.len());
            self.awake.push(agent);
        }
    }

    pub(crate) fn rest(&mut self, agent: AgentId) {
        if !matches!(self.place(agent), Place::Idle(_)) {
            self.remove(agent);
            self.places[agent.index()] = Place::Idle(self.idle.len());
            self.idle.push(agent);
        }
    }

    /// Takes an agent out; it has a place to be put at then.
    pub(crate) fn remove(&mut self, agent: AgentId) {
        if self.places.len() <= agent.index() {
            self.places.resize(agent.index() + 1, Place::Nowhere);
        }
        let old = std::mem::replace(&mut self.places[agent.index()], Place::Nowhere);
        let (list, at, place): (_, _, fn(usize) -> Place) = match old {
            Place::Nowhere => return,
            Place::Awake(at) => (&mut self.awake, at, Place::Awake),
            Place::Idle(at) => (&mut self.idle, at, Place::Idle),
        };
        list.swap_remove(at);
        if let Some(moved) = list.get(at) {
            self.places[moved.index()] = place(at);
        }
    }

    fn place(&self, agent: AgentId) -> Place {
        self.places.get(agent.index()).copied().unwrap_or(Place::Nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_in_one_list_at_most() {
        let agent = AgentId::from;
        let mut roster = Roster::default();
        for number in [3, 0, 2, 1] {
            roster.wake(agent(number));
        }
        roster.rest(agent(0));
        roster.rest(agent(1));
        roster.remove(agent(3));
        roster.remove(agent(7));
        roster.wake(agent(2));
        assert_eq!(roster.awake(), [agent(2)]);
        assert_eq!(roster.iter().collect::<Vec<_>>(), [2, 0, 1].map(agent));
        roster.wake(agent(0));
        roster.rest(agent(2));
        assert_eq!(roster.iter().collect::<Vec<_>>(), [0, 1, 2].map(agent));
    }
}
