//! The containers of the simulated machine: what survives the agent.

use std::collections::{BTreeMap, BTreeSet};

use muster_agent::Found;
use muster_containerizer::Termination;
use rand::RngExt;
use rand::rngs::StdRng;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Container {
    Launching,
    Running,
    Ended(Termination),
}

#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) containers: BTreeMap<String, Container>,
    /// Every id that was ever launched.
    launched: BTreeSet<String>,
    /// Every id whose command was ever executed.
    pub(crate) executed: BTreeSet<String>,
}

impl Machine {
    pub(crate) fn launch(&mut self, id: &str) {
        assert!(self.launched.insert(id.to_owned()), "container {id} is launched twice");
        self.containers.insert(id.to_owned(), Container::Launching);
    }

    pub(crate) fn execute(&mut self, id: &str) {
        self.executed.insert(id.to_owned());
        self.containers.insert(id.to_owned(), Container::Running);
    }

    /// Whether `id` runs.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.containers.get(id) == Some(&Container::Running)
    }

    /// The containers in another that have not ended.
    pub(crate) fn nested_in(&self, id: &str) -> Vec<String> {
        let parent = format!("{id}/");
        let nested = self.containers.iter().filter(|(id, _)| id.starts_with(&parent));
        let live = nested.filter(|(_, container)| !matches!(container, Container::Ended(_)));
        live.map(|(id, _)| id.clone()).collect()
    }

    /// Nothing is left of a container and of those in it.
    pub(crate) fn remove(&mut self, id: &str) {
        let parent = format!("{id}/");
        self.containers.retain(|other, _| other != id && !other.starts_with(&parent));
    }

    pub(crate) fn end(&mut self, id: &str, how: Termination) {
        self.containers.insert(id.to_owned(), Container::Ended(how));
    }

    /// The agent has died: launches under way stop somewhere.
    pub(crate) fn orphan(&mut self, rng: &mut StdRng) {
        let launching: Vec<String> = self
            .containers
            .iter()
            .filter(|(_, container)| **container == Container::Launching)
            .map(|(id, _)| id.clone())
            .collect();
        for id in launching {
            match rng.random_range(0..3) {
                0 => drop(self.containers.remove(&id)),
                1 => self.execute(&id),
                _ => self.end(&id, Termination::Lost("half launched".into())),
            }
        }
    }

    /// What a starting agent finds.
    pub(crate) fn found(&self) -> Vec<Found> {
        let found = |(id, container): (&String, &Container)| Found {
            id: id.clone(),
            pid: None,
            addresses: None,
            ended: match container {
                Container::Ended(how) => Some(how.clone()),
                Container::Launching | Container::Running => None,
            },
        };
        self.containers.iter().map(found).collect()
    }
}
