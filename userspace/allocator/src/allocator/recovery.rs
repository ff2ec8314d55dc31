//! Waiting for agents after a new master took over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Allocator;
use crate::{Error, Quota};

/// Nothing is allocated until enough agents are back, or it has taken too long.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    /// How many agents are enough.
    agents: usize,
    end: Duration,
}

impl Allocator {
    /// Starts with the quotas and the number of agents that an earlier master knew. If there
    /// is any quota, nothing is allocated before
    /// [`Options::recovery_factor`](crate::Options::recovery_factor) of the agents are back,
    /// or [`Options::recovery_timeout`](crate::Options::recovery_timeout) has passed: with
    /// only a part of the cluster in view, guarantees would be met at others' expense.
    ///
    /// # Errors
    /// [`Error::Role`].
    pub fn start_recovery(
        &mut self,
        now: Duration,
        expected_agents: usize,
        quotas: BTreeMap<String, Quota>,
    ) -> Result<(), Error> {
        let any = !quotas.is_empty();
        for (role, quota) in quotas {
            self.update_quota(&role, quota)?;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the factor is positive, and the product is cut to a whole number"
        )]
        let agents = (expected_agents as f64 * self.options.recovery_factor.max(0.0)) as usize;
        if any && agents > 0 {
            let end = now.saturating_add(self.options.recovery_timeout);
            self.recovery = Some(Recovery { agents, end });
        }
        Ok(())
    }

    /// Whether nothing is allocated because too few agents are back.
    pub fn is_recovering(&self, now: Duration) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| now < recovery.end)
    }

    pub(super) fn end_recovery_if_enough(&mut self) {
        if self.recovery.as_ref().is_some_and(|recovery| self.agents.len() >= recovery.agents) {
            self.recovery = None;
        }
    }
}
