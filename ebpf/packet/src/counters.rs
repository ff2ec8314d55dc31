//! What is counted of each backend, and when a backend counts as failed.

use crate::layout::map_type;

/// Failures in a row that open a backend's breaker: minuteman's
/// `tcp_consecutive_failure_threshold`.
pub const BREAKER_FAILURES: u32 = 5;

/// How long after its last failure a backend is tried again, in ns: minuteman's
/// `tcp_failed_backend_backoff_period`.
pub const BREAKER_BACKOFF_NS: u64 = 30_000_000_000;

map_type! {
    /// Value of the map `counters`, whose key is the backend's endpoint.
    ///
    /// Shared by all processors and changed with atomic adds: a choice that compares
    /// backends has to read them, and a backend's counters are touched twice per
    /// connection, not per packet.
    #[derive(Default)]
    pub struct Counters {
        /// TCP connections tried, and UDP flows.
        pub started: u64,
        /// TCP handshakes completed, and UDP flows (which have no handshake).
        pub successes: u64,
        /// TCP connections that closed before the handshake was complete: refused,
        /// unreachable, timed out or given up.
        pub failures: u64,
        /// When the last failure was: `CLOCK_MONOTONIC`, ns.
        pub last_failure_ns: u64,
        /// Failures since the last success.
        pub consecutive_failures: u64,
    }
}

impl Counters {
    /// Connections whose handshake is under way.
    #[inline(always)]
    pub const fn pending(&self) -> u64 {
        // The three are read one after the other while connections go on.
        self.started.saturating_sub(self.successes.saturating_add(self.failures))
    }

    /// True if the backend may be chosen at the time `now_ns`: fewer than
    /// [`BREAKER_FAILURES`] failures in a row, or the last of them longer ago than
    /// [`BREAKER_BACKOFF_NS`].
    #[inline(always)]
    pub const fn admits(&self, now_ns: u64) -> bool {
        self.consecutive_failures < BREAKER_FAILURES as u64
            || now_ns.saturating_sub(self.last_failure_ns) > BREAKER_BACKOFF_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    fn failed(consecutive_failures: u64, ago_ns: u64) -> Counters {
        Counters { consecutive_failures, last_failure_ns: NOW - ago_ns, ..Counters::default() }
    }

    #[test]
    fn fifth_failure_in_a_row_opens_the_breaker() {
        assert!(failed(4, 0).admits(NOW));
        assert!(!failed(5, 0).admits(NOW));
        assert!(!failed(6, 0).admits(NOW));
    }

    #[test]
    fn backoff_closes_it() {
        assert!(!failed(5, BREAKER_BACKOFF_NS).admits(NOW));
        assert!(failed(5, BREAKER_BACKOFF_NS + 1).admits(NOW));
    }

    #[test]
    fn failure_that_is_newer_than_the_clock_was_read_counts() {
        assert!(
            !Counters { consecutive_failures: 5, last_failure_ns: NOW + 1, ..Counters::default() }
                .admits(NOW)
        );
    }

    #[test]
    fn pending_is_what_has_neither_succeeded_nor_failed() {
        let counters = Counters { started: 9, successes: 5, failures: 1, ..Counters::default() };
        assert_eq!(counters.pending(), 3);
        let torn = Counters { started: 5, successes: 6, ..Counters::default() };
        assert_eq!(torn.pending(), 0);
    }
}
