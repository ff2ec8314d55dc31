//! What an onlooker sees.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::TaskStateExt as _;

use super::Cluster;

impl Cluster {
    /// How many tasks of each name live on the agents.
    pub(in super::super) fn alive(&self) -> BTreeMap<String, usize> {
        let mut alive = BTreeMap::new();
        let tasks = self.agents.iter().flat_map(|agent| agent.tasks.values());
        for task in tasks.filter(|task| !task.state.is_terminal()) {
            *alive.entry(task.info.name.clone()).or_default() += 1;
        }
        alive
    }

    /// The commands of the living tasks of one name.
    pub(in super::super) fn commands(&self, name: &str) -> BTreeSet<String> {
        let tasks = self.agents.iter().flat_map(|agent| agent.tasks.values());
        tasks
            .filter(|task| !task.state.is_terminal() && task.info.name == name)
            .map(|task| task.info.command.clone().unwrap().value.unwrap())
            .collect()
    }

    /// How many tasks of a name were ever started.
    pub(in super::super) fn started(&self, name: &str) -> usize {
        self.started.iter().filter(|task| task.name == name).count()
    }

    /// Whether no agent has anything to tell any more.
    pub(in super::super) fn is_quiet(&self) -> bool {
        self.agents.iter().all(|agent| agent.tasks.values().all(|task| task.updates.is_empty()))
    }
}
