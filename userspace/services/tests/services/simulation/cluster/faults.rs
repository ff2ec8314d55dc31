//! What goes wrong, and is mended.

use std::collections::BTreeSet;

use muster_api::TaskStateExt as _;
use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use muster_resources::Resources;
use rand_chacha::ChaCha8Rng;

use super::{Cluster, Known, below, name, one_in};

impl Cluster {
    /// The framework's connection is gone, and what was on it.
    pub(in super::super) fn disconnect(&mut self) {
        self.subscribed = false;
        self.offers.clear();
        self.said.clear();
    }

    /// Another master, which knows nothing until the agents tell it.
    pub(in super::super) fn replace_master(&mut self) {
        self.disconnect();
        self.tasks.clear();
        for agent in &mut self.agents {
            agent.registered = false;
        }
    }

    /// An agent goes out of reach, and the master notices.
    pub(in super::super) fn partition(&mut self, rng: &mut ChaCha8Rng) {
        let agent = below(rng, self.agents.len());
        if !self.agents[agent].reachable || !self.agents[agent].registered {
            return;
        }
        self.agents[agent].reachable = false;
        self.offers.retain(|_, (of, _)| *of != agent);
        let there: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, known)| known.agent == agent && !known.state.is_terminal())
            .map(|(id, _)| id.clone())
            .collect();
        for id in there {
            self.tasks.get_mut(&id).unwrap().state = TaskState::TaskUnreachable;
            self.say_state(&id, &name(agent), TaskState::TaskUnreachable, Reason::AgentRemoved);
        }
    }

    /// Agents out of reach, or strangers to the master, come back: some, or all.
    pub(in super::super) fn register(&mut self, rng: &mut ChaCha8Rng, all: bool) {
        for agent in 0..self.agents.len() {
            if all
                || (!self.agents[agent].registered || !self.agents[agent].reachable)
                    && one_in(rng, 3)
            {
                self.register_one(agent);
            }
        }
    }

    fn register_one(&mut self, agent: usize) {
        self.agents[agent].reachable = true;
        self.agents[agent].registered = true;
        let there: BTreeSet<String> = self.agents[agent].tasks.keys().cloned().collect();
        let gone: Vec<String> = self
            .tasks
            .iter()
            .filter(|(id, known)| known.agent == agent && !there.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.tasks.remove(&id);
            self.say_state(&id, &name(agent), TaskState::TaskGone, Reason::AgentRemoved);
        }
        for id in there {
            let task = &self.agents[agent].tasks[&id];
            let (state, resources) = (task.state, &task.info.resources);
            let resources = Resources::from_proto(resources).unwrap();
            self.tasks.insert(id.clone(), Known { agent, state, resources });
            if !state.is_terminal() {
                self.say_state(&id, &name(agent), state, Reason::AgentReregistered);
            }
        }
    }
}
