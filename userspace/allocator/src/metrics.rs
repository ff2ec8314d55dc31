//! What is to be measured, under the names that Mesos gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_resources::{Name, Scalar};

use crate::Allocator;
use crate::amounts::Amounts;

impl Allocator {
    /// All that there is to be measured, by Mesos' names:
    ///
    /// - `allocator/mesos/allocation_runs`: cycles so far;
    /// - `allocator/mesos/allocation_run_ms`, `allocator/mesos/allocation_run_latency_ms`, and
    ///   below them `count`, `min`, `max` and percentiles: see [`Allocator::note_run`];
    /// - `allocator/mesos/resources/NAME/total` and `/offered_or_allocated`, of cpus, mem and
    ///   disk;
    /// - `allocator/mesos/quota/roles/ROLE/resources/NAME/guarantee`, `/limit`,
    ///   `/offered_or_allocated` and `/consumed`, where they are set;
    /// - `allocator/mesos/roles/ROLE/shares/dominant`, of roles with frameworks;
    /// - `allocator/mesos/offer_filters/roles/ROLE/active`: refusals in force.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        let mut set = |name: String, value: f64| {
            metrics.insert(format!("allocator/mesos/{name}"), value);
        };
        #[expect(clippy::cast_precision_loss, reason = "no cluster runs so long")]
        set("allocation_runs".to_owned(), self.cycles() as f64);
        self.timers(&mut set);
        let held = self.held_by_all();
        for name in [Name::CPUS, Name::MEM, Name::DISK] {
            let total = self.total_quantities().get(&name);
            set(format!("resources/{name}/total"), total.as_f64());
            set(format!("resources/{name}/offered_or_allocated"), held.get(&name).as_f64());
        }
        self.role_metrics(&mut set);
        metrics
    }

    fn role_metrics(&self, set: &mut impl FnMut(String, f64)) {
        for (_, role) in self.all_roles() {
            let path = &role.path;
            if let Some(members) = &role.members {
                let share = self.role_tree().share(members.client, self.pool());
                set(format!("roles/{path}/shares/dominant"), share);
                #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
                set(format!("offer_filters/roles/{path}/active"), members.filters as f64);
            }
            let Some(quota) = &role.quota else { continue };
            let mut consumed = role.used.clone();
            consumed.add(&role.reserved);
            let mut of = |name: &Name, what: &str, value: Scalar| {
                set(format!("quota/roles/{path}/resources/{name}/{what}"), value.as_f64());
            };
            for (name, guarantee) in quota.quota.guarantees.iter() {
                of(name, "guarantee", guarantee);
            }
            for (name, limit) in quota.quota.limits.iter() {
                of(name, "limit", limit);
            }
            let set_names: Vec<&Name> = {
                let guarantees = quota.quota.guarantees.iter().map(|(name, _)| name);
                guarantees.chain(quota.quota.limits.iter().map(|(name, _)| name)).collect()
            };
            let amount = |amounts: &Amounts, name: &Name| self.named(amounts).get(name);
            for name in set_names {
                of(name, "offered_or_allocated", amount(&role.held, name));
                of(name, "consumed", amount(&consumed, name));
            }
        }
    }

    /// Notes how long a cycle was waited for, and how long it took: the allocator has no
    /// clock of its own.
    pub fn note_run(&mut self, now: Duration, latency: Duration, run: Duration) {
        self.note_times(now, latency, run);
    }
}
