//! How an application is started again, replaced and scaled down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Delay between launches of an application whose instances fail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// After the first failure.
    pub seconds: u32,
    /// Times this after each further one; at least 1.
    pub factor: f64,
    /// But never more than this.
    pub max_seconds: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { seconds: 1, factor: 1.15, max_seconds: 300 }
    }
}

impl Backoff {
    /// The delay after the first failure (`current` is `None`) or after one more.
    pub fn next(&self, current: Option<Duration>) -> Duration {
        let max = Duration::from_secs(self.max_seconds.into());
        match current {
            None => Duration::from_secs(self.seconds.into()).min(max),
            Some(delay) => Duration::try_from_secs_f64(delay.as_secs_f64() * self.factor)
                .unwrap_or(max)
                .min(max),
        }
    }
}

/// Bounds of a rolling upgrade, as shares of the number of instances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStrategy {
    /// Healthy instances that there are at any time, old and new; 0 to 1.
    pub minimum_health_capacity: f64,
    /// Instances that there may be in addition; 0 to 1.
    pub maximum_over_capacity: f64,
}

impl Default for UpgradeStrategy {
    fn default() -> Self {
        Self { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 }
    }
}

/// What happens to an instance whose agent cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnreachableStrategy {
    /// It counts as running until it is heard of again.
    Disabled,
    /// It is replaced, and later given up.
    #[serde(rename_all = "camelCase")]
    Enabled {
        /// After so long it is replaced; if it comes back first, nothing happens.
        inactive_after_seconds: u64,
        /// After so long it is forgotten, and killed if it ever comes back.
        expunge_after_seconds: u64,
    },
}

impl Default for UnreachableStrategy {
    fn default() -> Self {
        Self::Enabled { inactive_after_seconds: 0, expunge_after_seconds: 0 }
    }
}

/// Which instances go first when there are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KillSelection {
    /// Those started last.
    #[default]
    YoungestFirst,
    /// Those started first.
    OldestFirst,
}

impl KillSelection {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::YoungestFirst => "YOUNGEST_FIRST",
            Self::OldestFirst => "OLDEST_FIRST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap() {
        let backoff = Backoff::default();
        let first = backoff.next(None);
        assert_eq!(first, Duration::from_secs(1));
        assert_eq!(backoff.next(Some(first)), Duration::from_millis(1150));
        assert_eq!(backoff.next(Some(Duration::from_secs(299))), Duration::from_mins(5));
        let wild = Backoff { factor: 1e300, ..backoff };
        assert_eq!(wild.next(Some(Duration::from_secs(10))), Duration::from_mins(5));
        let none = Backoff { seconds: 5, max_seconds: 0, factor: 2.0 };
        assert_eq!(none.next(None), Duration::ZERO);
    }
}
