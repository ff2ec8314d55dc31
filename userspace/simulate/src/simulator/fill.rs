//! Progressive filling.

use muster_allocator::{Allocator, Grant, Shares};
use serde_json::{Map, Value as Json, json};

use super::Simulator;
use super::shares::rounded;
use crate::command::Demand;
use crate::error::{Refusal, refused};

impl Simulator {
    /// Notes what one task of a framework takes.
    pub(super) fn demand(&mut self, demand: Demand) -> Result<(), Refusal> {
        let Demand { framework, task } = demand;
        if !self.allocator.has_framework(&framework) {
            let error = muster_allocator::Error::UnknownFramework(framework);
            return Err(refused("demand", "framework")(error));
        }
        self.demands.insert(framework, task.0.unallocated());
        Ok(())
    }

    /// Launches tasks one by one until none fits.
    pub(super) fn fill(&mut self) -> Result<Json, Refusal> {
        let filling = self.allocator.fill(&self.demands).map_err(refused("fill", "framework"))?;
        if let Some(history) = &mut self.history {
            for shares in steps(&self.allocator, &filling.launches) {
                history.note(self.now, &shares);
            }
        }
        let shares = filling.shares.into_iter();
        let shares: Map<String, Json> =
            shares.map(|(id, share)| (id, json!(rounded(share)))).collect();
        Ok(json!({ "tasks": filling.tasks, "shares": shares }))
    }
}

/// The shares after each task that was launched last.
fn steps(allocator: &Allocator, launches: &[Grant]) -> Vec<Shares> {
    // Backwards: tasks can be taken back one by one.
    let mut before = allocator.clone();
    let mut steps = Vec::with_capacity(launches.len());
    for task in launches.iter().rev() {
        steps.push(before.shares());
        let Grant { framework, role, agent, resources } = task;
        if before.finish(framework, role, agent, resources).is_err() {
            // Not what this allocator has just launched.
            break;
        }
    }
    steps.reverse();
    steps
}
