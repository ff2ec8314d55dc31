//! Progressive filling: everything is put in order anew for each task.

use std::collections::BTreeMap;

use muster_allocator::Grant;
use muster_resources::{Quantities, Resources};

use super::cycle::{counts, is_known_to, limits, strip};
use super::{Client, Plain};

impl Plain {
    /// Launches tasks one at a time, for whoever comes first of those that have room.
    pub(crate) fn fill(&mut self, demands: &BTreeMap<String, Resources>) -> Vec<Grant> {
        let mut launches: Vec<Grant> = Vec::new();
        while let Some((client, agent)) = self.next_task(demands, launches.len()) {
            let task = demands[&client.0].clone();
            self.hold(&client, &agent, task.clone());
            let (framework, role) = client;
            let resources = task.allocated_to(&role);
            launches.push(Grant { framework, role, agent, resources });
        }
        launches
    }

    fn next_task(
        &self,
        demands: &BTreeMap<String, Resources>,
        step: usize,
    ) -> Option<(Client, String)> {
        let (total, excluded) = (self.total(), &self.options.excluded);
        let draw = self.draw.of(self.cycles).of(2).of(step as u64);
        for role in self.role_sorter.sort(&total, excluded, draw) {
            let Some(sorter) = self.framework_sorters.get(&role) else { continue };
            for framework in sorter.sort(&total, excluded, draw.of_text(&role)) {
                let Some(task) = demands.get(&framework) else { continue };
                if self.quota_allows(&role, task)
                    && let Some(agent) = self.room(&framework, &role, task)
                {
                    return Some(((framework, role), agent));
                }
            }
        }
        None
    }

    fn quota_allows(&self, role: &str, task: &Resources) -> bool {
        let ledger = self.ledger();
        let wanted = Quantities::of_scalars(&task.filter(|resource| counts(resource)));
        let top = role.split('/').next().unwrap_or_default();
        let quota = self.quotas.get(top);
        let consumed = ledger.consumed.get(top).cloned().unwrap_or_default();
        let mut beyond = wanted.clone();
        if let Some(quota) = quota {
            let mut missing = quota.guarantees.clone();
            missing.subtract_all(&consumed);
            beyond.subtract_all(&missing);
        }
        let mut after = consumed;
        after.add_all(&wanted);
        limits(quota).is_none_or(|limits| {
            limits.iter().all(|(name, most)| wanted.get(name).is_zero() || after.get(name) <= most)
        }) && (ledger.required.is_empty() || ledger.surplus().contains(&beyond))
    }

    fn room(&self, framework: &str, role: &str, task: &Resources) -> Option<String> {
        let framework = self.frameworks.get(framework)?;
        let mut agents: Vec<_> = self.agents.iter().collect();
        agents.sort_by_key(|(_, agent)| agent.serial);
        let found = agents.into_iter().find(|(_, agent)| {
            let listed =
                self.whitelist.as_ref().is_none_or(|l| l.contains(&agent.options.hostname));
            let free = strip(&agent.available().allocatable_to(role), framework);
            agent.active
                && listed
                && free.contains(task)
                && self.is_capable(framework, agent)
                && is_known_to(framework, role, agent)
                && !framework.options.offer_constraints.excludes(role, &agent.options)
        });
        found.map(|(id, _)| id.clone())
    }
}
