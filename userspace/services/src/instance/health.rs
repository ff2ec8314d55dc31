//! What the health checks of an instance have said.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The history of an instance's health check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// What it said last; `None` before the first result.
    pub healthy: Option<bool>,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// The first success.
    pub first_success: Option<Timestamp>,
    /// The last success.
    pub last_success: Option<Timestamp>,
    /// The last failure.
    pub last_failure: Option<Timestamp>,
    /// What it said.
    pub last_failure_cause: Option<String>,
}

impl Health {
    /// Takes in one result. `healthy` without a new check behind it, as in a
    /// reconciliation, is no further failure: `repeated` says so.
    pub fn observe(&mut self, healthy: bool, repeated: bool, cause: Option<&str>, now: Timestamp) {
        let changed = self.healthy != Some(healthy);
        self.healthy = Some(healthy);
        if healthy {
            self.consecutive_failures = 0;
            self.first_success.get_or_insert(now);
            if changed || !repeated {
                self.last_success = Some(now);
            }
        } else if changed || !repeated {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.last_failure = Some(now);
            self.last_failure_cause = cause.map(str::to_owned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_once_each() {
        let at = Timestamp::from_millis;
        let mut health = Health::default();
        health.observe(false, false, Some("refused"), at(1));
        health.observe(false, true, None, at(2));
        health.observe(false, false, Some("timed out"), at(3));
        assert_eq!(health.consecutive_failures, 2);
        assert_eq!(health.last_failure_cause.as_deref(), Some("timed out"));
        health.observe(true, false, None, at(4));
        health.observe(true, true, None, at(5));
        assert_eq!(health.consecutive_failures, 0);
        assert_eq!((health.first_success, health.last_success), (Some(at(4)), Some(at(4))));
        health.observe(false, true, None, at(6));
        assert_eq!(health.consecutive_failures, 1, "a change seen late is still a failure");
    }
}
