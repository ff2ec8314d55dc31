//! What is known of each backend, and when a backend counts as failed.

use crate::{Endpoint, Latency, layout::map_type};

/// Failures in a row that open a backend's breaker: minuteman's
/// `tcp_consecutive_failure_threshold`.
pub const BREAKER_FAILURES: u32 = 5;

/// How long after its last failure a backend is tried again, in ns: minuteman's
/// `tcp_failed_backend_backoff_period`.
pub const BREAKER_BACKOFF_NS: u64 = 30_000_000_000;

/// Latencies below this count as this, in units of [`TICK_NS`](crate::TICK_NS): 0.5 ms. What
/// is less is the noise of machines, and not worth sending everybody to one backend for.
pub const LATENCY_FLOOR: u32 = 512;

/// More handshakes than are ever under way: what is above was negative.
const MOST_PENDING: u64 = 1 << 31;

map_type! {
    /// Value of the map `counters`: what a choice has to know of one backend.
    ///
    /// A backend has a place for each VIP that it is in. What is known of it is in one of them, its home, so that one
    /// that fails is known to fail in every VIP; the others only say where that is.
    ///
    /// Shared by all processors and changed with atomic adds: a choice that compares
    /// backends has to read them, and a backend's counters are touched twice per
    /// connection, not per packet.
    #[derive(Default)]
    pub struct Counters {
        /// Whose they are. A reader that finds another has come too late, and lets go.
        pub backend: Endpoint,
        /// The backend's home: an index in `counters`.
        pub home: u32,
        /// Zero.
        _pad: u32,
        /// Handshakes begun, less those completed in time and those failed: see [`pending`](Self::pending()).
        pub pending: u64,
        /// Failures since the last completed handshake.
        pub consecutive_failures: u64,
        /// When the last failure was: `CLOCK_MONOTONIC`, ns.
        pub last_failure_ns: u64,
        /// When the open breaker last let a connection through, to see: as above.
        pub probe_ns: u64,
        /// How long handshakes take.
        pub latency: Latency,
    }
}

map_type! {
    /// Value of the map `counted`, whose key is a [`Pair`](crate::Pair).
    pub struct Counted {
        /// Where in `handshakes` its connections are counted: below [`MAX_COUNTERS`](crate::MAX_COUNTERS).
        pub counter: u32,
        /// Where in `counters` what is known of the backend is: the place of this pair or of another of the backend's.
        pub home: u32,
    }
}

/// Minuteman's three tiers: whether a backend gets new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Its breaker is closed.
    Up,
    /// Half-open: the backoff is over. It gets one connection, and more if that succeeds.
    MaybeUp,
    /// Open: only if there is no other.
    Down,
}

/// What of a backend's counters a choice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Whether it is to be chosen at all.
    pub tier: Tier,
    /// Handshakes under way.
    pub pending: u64,
    /// Latency times those and one more.
    pub cost: u64,
    /// As in [`Counters::probe_ns`]: who lets a connection through replaces it.
    pub probe_ns: u64,
}

impl Counters {
    /// Those of a backend of which nothing is known, or that has its home elsewhere.
    pub const fn new(backend: Endpoint, home: u32) -> Self {
        Self {
            backend,
            home,
            _pad: 0,
            pending: 0,
            consecutive_failures: 0,
            last_failure_ns: 0,
            probe_ns: 0,
            latency: Latency { average: 0, measured: 0 },
        }
    }

    /// Connections whose handshake is under way.
    #[inline(always)]
    pub const fn pending(&self) -> u64 {
        settled(self.pending)
    }

    /// True if the backend counts as working at the time `now_ns`: fewer than
    /// [`BREAKER_FAILURES`] failures in a row, or the last of them longer ago than
    /// [`BREAKER_BACKOFF_NS`].
    #[inline(always)]
    pub const fn admits(&self, now_ns: u64) -> bool {
        self.consecutive_failures < BREAKER_FAILURES as u64 || is_over(self.last_failure_ns, now_ns)
    }

    /// Whether the backend gets a connection now.
    #[inline(always)]
    pub const fn tier(&self, now_ns: u64) -> Tier {
        if self.consecutive_failures < BREAKER_FAILURES as u64 {
            Tier::Up
        } else if is_over(self.last_failure_ns, now_ns) && is_over(self.probe_ns, now_ns) {
            Tier::MaybeUp
        } else {
            Tier::Down
        }
    }

    /// What a choice depends on.
    #[inline(always)]
    pub const fn load(&self, now_ns: u64) -> Load {
        let latency = self.latency.at(now_ns);
        let latency = if latency > LATENCY_FLOOR { latency } else { LATENCY_FLOOR };
        Load {
            tier: self.tier(now_ns),
            pending: self.pending(),
            cost: latency as u64 * (self.pending() + 1),
            probe_ns: self.probe_ns,
        }
    }
}

/// What is under way by a number that is changed from many sides: what began before it was counted may end
/// after.
#[inline(always)]
pub(crate) const fn settled(pending: u64) -> u64 {
    if pending < MOST_PENDING { pending } else { 0 }
}

/// True if the backoff since then is over. The time may be a little later than now: clocks
/// differ by a tick, and are 2^63 ns from their end.
#[inline(always)]
const fn is_over(since_ns: u64, now_ns: u64) -> bool {
    now_ns.wrapping_sub(since_ns).cast_signed() > BREAKER_BACKOFF_NS.cast_signed()
}

impl Load {
    /// That of a backend of which nothing is known.
    pub const UNKNOWN: Self =
        Self { tier: Tier::Up, pending: 0, cost: LATENCY_FLOOR as u64, probe_ns: 0 };
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
    fn open_breaker_lets_one_through_after_the_backoff() {
        let mut counters = failed(5, 0);
        assert_eq!(failed(4, 0).tier(NOW), Tier::Up);
        assert_eq!(counters.tier(NOW), Tier::Down);
        let later = NOW + BREAKER_BACKOFF_NS + 1;
        assert_eq!(counters.tier(later), Tier::MaybeUp);
        counters.probe_ns = later;
        assert_eq!(counters.tier(later), Tier::Down);
        // One that is never decided does not keep it open.
        assert_eq!(counters.tier(later + BREAKER_BACKOFF_NS + 1), Tier::MaybeUp);
    }

    #[test]
    fn cost_grows_with_latency_and_with_what_is_under_way() {
        let cost = |average, pending| {
            let latency = Latency::default().after(average, NOW);
            Counters { pending, latency, ..Counters::default() }.load(NOW).cost
        };
        assert_eq!(cost(1, 0), Load::UNKNOWN.cost);
        assert_eq!(cost(LATENCY_FLOOR, 0), cost(1, 0));
        assert_eq!(cost(4 * LATENCY_FLOOR, 0), 4 * cost(1, 0));
        assert_eq!(cost(1, 3), 4 * cost(1, 0));
    }

    #[test]
    fn less_than_nothing_is_not_under_way() {
        let pending = |pending| Counters { pending, ..Counters::default() }.pending();
        assert_eq!((pending(3), pending(0), pending(u64::MAX)), (3, 0, 0));
    }
}
