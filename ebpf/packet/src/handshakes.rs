//! How connections to a backend went, in more detail than a choice needs.

use crate::{TICK_NS, layout::map_type};

/// Buckets of [`Handshakes::latency`].
pub const LATENCY_BUCKETS: usize = LAST as usize + 1;

/// The first bucket is for what takes less than two to the power of this, in units of
/// [`TICK_NS`]: 16 us.
const FIRST_BITS: u32 = 4;

/// The bucket without a bound: of what takes 1.07 s or longer.
const LAST: u32 = 17;

map_type! {
    /// Value of the map `handshakes`, at the place where the backend's
    /// [`Counters`](crate::Counters) are in `counters`: nobody reads it to choose, so it lies
    /// apart from what is read.
    #[derive(Default)]
    pub struct Handshakes {
        /// Handshakes that were completed, late ones too, by how long they took: see
        /// [`bucket`](Self::bucket).
        pub latency: [u64; LATENCY_BUCKETS],
        /// How long they took together, in units of [`TICK_NS`].
        pub sum: u64,
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
