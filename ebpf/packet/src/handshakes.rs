//! What is counted of connections, by VIP and backend.

use crate::{Endpoint, TICK_NS, counters::settled, layout::map_type};

/// Buckets of [`Handshakes::latency`].
pub const LATENCY_BUCKETS: usize = LAST as usize + 1;

/// The first bucket is for what takes less than two to the power of this, in units of
/// [`TICK_NS`]: 16 us.
const FIRST_BITS: u32 = 4;

/// The bucket without a bound: of what takes 1.07 s or longer.
const LAST: u32 = 17;

map_type! {
    /// Value of the map `handshakes`: what became of connections to one VIP that one backend got. Nobody reads it to
    /// choose, so it lies apart from [`Counters`](crate::Counters).
    #[derive(Default)]
    pub struct Handshakes {
        /// Which VIP's they are. Who finds another has come too late, and lets go.
        pub vip: Endpoint,
        /// Where in `counters` what is known of the backend is.
        pub home: u32,
        /// Zero.
        _pad: u32,
        /// TCP connections tried, and UDP flows.
        pub started: u64,
        /// TCP handshakes completed in time, and UDP flows (which have no handshake).
        pub successes: u64,
        /// TCP connections that closed before the handshake was complete (refused,
        /// unreachable, given up), or whose SYN was not answered in time: within the
        /// kernel's first retransmission timeout of 1 s.
        pub failures: u64,
        /// How long completed handshakes took together, in units of [`TICK_NS`].
        pub sum: u64,
        /// Handshakes that were completed, late ones too, by how long they took: see
        /// [`bucket`](Self::bucket).
        pub latency: [u64; LATENCY_BUCKETS],
        /// Of the failures, those that were answered: by a reset (nobody listens) or an ICMP
        /// error.
        pub refused: u64,
        /// Of the failures, those whose SYN was not answered in time.
        pub timeouts: u64,
        /// Segments that were sent again on established connections.
        pub retransmits: u64,
        /// Established connections that ended by a reset from the backend, or by silence that was
        /// noticed by probes (keepalive).
        pub resets: u64,
        /// Those that ended because what was sent was never acknowledged.
        pub expired: u64,
        /// Established connections whose end was seen.
        pub ended: u64,
        /// Their smoothed round trip times at the end together, in us (RFC 6298).
        pub rtt_sum: u64,
    }
}

impl Handshakes {
    /// Those of a VIP's backend, of which what is known is at this place.
    pub fn new(vip: Endpoint, home: u32) -> Self {
        Self { vip, home, ..Self::default() }
    }

    /// Connections whose handshake is under way.
    #[inline(always)]
    pub const fn pending(&self) -> u64 {
        // The three are read one after the other while connections go on.
        settled(self.started.wrapping_sub(self.successes.wrapping_add(self.failures)))
    }

    /// The bucket of a handshake that took so long, in units of [`TICK_NS`]: bounds double
    /// from one to the next, and each belongs to the bucket above it.
    #[inline(always)]
    pub const fn bucket(ticks: u32) -> u32 {
        let bits = u32::BITS - (ticks >> FIRST_BITS).leading_zeros();
        if bits < LAST { bits } else { LAST }
    }

    /// What is in a bucket took less than this, in ns. `None` for the last one.
    pub const fn bound_ns(bucket: usize) -> Option<u64> {
        if bucket < LAST as usize { Some(TICK_NS << FIRST_BITS << bucket) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_latency_is_between_the_bounds_of_its_bucket(bits in 0u32..=32, low: u32) {
            // Evenly over magnitudes, not over numbers.
            let ticks = low.checked_shr(bits).unwrap_or(0);
            let bucket = Handshakes::bucket(ticks) as usize;
            prop_assert!(bucket < LATENCY_BUCKETS);
            let took_ns = u64::from(ticks) * TICK_NS;
            if let Some(bound) = Handshakes::bound_ns(bucket) {
                prop_assert!(took_ns < bound);
            }
            if let Some(below) = bucket.checked_sub(1) {
                prop_assert!(took_ns >= Handshakes::bound_ns(below).unwrap());
            }
        }

        #[test]
        fn what_takes_longer_is_never_in_an_earlier_bucket(a: u32, b: u32) {
            prop_assert!(Handshakes::bucket(a.min(b)) <= Handshakes::bucket(a.max(b)));
        }
    }

    #[test]
    fn pending_is_what_has_neither_succeeded_nor_failed() {
        let pending = |started, successes, failures| {
            Handshakes { started, successes, failures, ..Handshakes::default() }.pending()
        };
        assert_eq!(pending(9, 5, 1), 3);
        assert_eq!(pending(5, 6, 0), 0);
    }

    #[test]
    fn bounds_double_from_16_us_to_a_second() {
        assert_eq!(Handshakes::bound_ns(0), Some(16_384));
        assert_eq!(Handshakes::bound_ns(1), Some(32_768));
        assert_eq!(Handshakes::bound_ns(LATENCY_BUCKETS - 2), Some(1_073_741_824));
        assert_eq!(Handshakes::bound_ns(LATENCY_BUCKETS - 1), None);
        assert_eq!([0, 15, 16, 31, 32].map(Handshakes::bucket), [0, 0, 1, 1, 2]);
        assert_eq!(Handshakes::bucket((1 << 20) - 1), LAST - 1);
        assert_eq!([1 << 20, u32::MAX].map(Handshakes::bucket), [LAST, LAST]);
    }
}
