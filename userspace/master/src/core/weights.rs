//! How much roles count against their siblings.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::WeightInfo;
use muster_resources::role;

use super::Master;
use super::allocation::agree;
use super::change::Refusal;
use crate::registry::RegistryBatch as _;

impl Master {
    /// Weights by role, of those that were ever set.
    pub fn weights(&self) -> &BTreeMap<String, f64> {
        &self.weights
    }

    pub(super) fn update_weights(
        &mut self,
        now: Duration,
        infos: &[WeightInfo],
    ) -> Result<(), Refusal> {
        let mut weights = Vec::with_capacity(infos.len());
        for (index, info) in infos.iter().enumerate() {
            let wrong =
                |problem: &str| Refusal::Invalid(format!("weight_infos[{index}].{problem}"));
            let role = info.role().trim();
            if role.is_empty() {
                return Err(wrong("role is not set; name the role that the weight is for"));
            }
            role::validate(role).map_err(|error| wrong(&format!("role: {error}")))?;
            self.check_allowed(role).map_err(|problem| wrong(&format!("role: {problem}")))?;
            if !(info.weight.is_finite() && info.weight > 0.0) {
                let problem = format!("weight: {} is not a number above zero", info.weight);
                return Err(wrong(&problem));
            }
            weights.push((role.to_owned(), info.weight));
        }
        let mut has_frameworks = false;
        for (role, weight) in weights {
            tracing::info!(role, weight, "weight changed");
            self.step.batch.put_weight(&role, weight);
            agree(self.allocator.update_weight(&role, weight));
            has_frameworks |= self.allocator.role(&role).is_some_and(|r| !r.frameworks.is_empty());
            self.weights.insert(role, weight);
        }
        if has_frameworks {
            // What is offered now was divided by other weights.
            self.rescind_offers(now, |_| true);
        }
        Ok(())
    }
}
