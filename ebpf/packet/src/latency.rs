//! How long a backend takes to answer: an average that forgets.

use crate::layout::map_type;

/// One unit of latencies, in ns: a shift instead of a division.
pub const TICK_NS: u64 = 1 << TICK_BITS;
const TICK_BITS: u32 = 10;

/// One unit of the time at which a latency was measured is 2^23 ns, 8.4 ms.
const MEASURED_BITS: u32 = 23;

/// Units after which what is known counts half: 2^33 ns, 8.6 s.
const HALF_LIFE_BITS: u32 = 10;

/// How far a coarse clock may be behind the one by which it was measured, in such units.
const BEHIND: u32 = 2;

map_type! {
    /// Exponentially weighted moving average of a backend's connect latency, and when it was
    /// last measured. One word, so that it is read and written whole.
    #[derive(Default)]
    pub struct Latency {
        /// In units of [`TICK_NS`]; 0 if nothing is known.
        pub average: u32,
        /// When: `CLOCK_MONOTONIC` in units of 2^23 ns, modulo 2^32.
        pub measured: u32,
    }
}

/// The time now as handshakes remember it, in units of [`TICK_NS`] modulo 2^32 (73 minutes;
/// a handshake lasts two at most).
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
pub const fn ticks(now_ns: u64) -> u32 {
    (now_ns >> TICK_BITS) as u32
}

impl Latency {
    /// The average as it counts at a time: halved for every 8.6 s without a measurement, so
    /// that a backend that is avoided for its latency is tried again.
    #[inline(always)]
    pub const fn at(self, now_ns: u64) -> u32 {
        let age = measured(now_ns).wrapping_add(BEHIND).wrapping_sub(self.measured);
        let halvings = age >> HALF_LIFE_BITS;
        if halvings < u32::BITS { self.average >> halvings } else { 0 }
    }

    /// What is known after a handshake took `sample` (in units of [`TICK_NS`]): the new one
    /// counts one eighth, as in RFC 6298's smoothed round-trip time; all of it if nothing
    /// was known.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, sample: u32, now_ns: u64) -> Self {
        let known = self.at(now_ns);
        let average = if known == 0 { sample } else { known - known / 8 + sample / 8 };
        // 0 would mean unknown.
        Self { average: if average == 0 { 1 } else { average }, measured: measured(now_ns) }
    }

    /// Both fields as one number.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        // SAFETY: eight bytes without padding (asserted by `map_type`), any of which are a u64.
        unsafe { core::mem::transmute::<Self, u64>(self) }
    }

    /// That of which these are the [`bits`](Self::bits).
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        // SAFETY: eight bytes without padding, and both fields are integers.
        unsafe { core::mem::transmute::<u64, Self>(bits) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is meant")]
const fn measured(now_ns: u64) -> u32 {
    (now_ns >> MEASURED_BITS) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    proptest! {
        #[test]
        fn average_stays_between_what_was_known_and_what_is_new(
            samples in proptest::collection::vec(1u32..u32::MAX, 1..40), now: u64,
        ) {
            let (mut latency, mut low, mut high) = (Latency::default(), u32::MAX, 0);
            for sample in samples {
                (low, high) = (low.min(sample), high.max(sample));
                latency = latency.after(sample, now);
                // Whole eighths: at most seven units are lost each time, in a fixed point.
                prop_assert!(latency.average >= low.saturating_sub(14).max(1));
                prop_assert!(latency.average <= high.saturating_add(7));
                prop_assert_eq!(Latency::from_bits(latency.bits()), latency);
            }
        }

        #[test]
        fn what_is_known_only_fades(average: u32, now in 0..u64::MAX / 4, later in 0..u64::MAX / 4) {
            let latency = Latency { average, ..Latency::default().after(1, now) };
            prop_assert_eq!(latency.at(now), average);
            prop_assert!(latency.at(now + later) <= average);
        }
    }

    #[test]
    fn eighth_of_the_difference_is_taken_each_time() {
        let first = Latency::default().after(800, SECOND);
        assert_eq!(first.average, 800);
        assert_eq!(first.after(1_600, SECOND).average, 900);
        assert_eq!(first.after(0, SECOND).average, 700);
    }

    #[test]
    fn half_is_forgotten_in_nine_seconds_and_all_in_the_end() {
        let latency = Latency::default().after(1_000, SECOND);
        assert_eq!(latency.at(9 * SECOND), 1_000);
        assert_eq!(latency.at(10 * SECOND), 500);
        assert_eq!(latency.at(400 * SECOND), 0);
    }

    #[test]
    fn coarse_clock_that_is_behind_forgets_nothing() {
        let latency = Latency::default().after(1_000, 10 * SECOND);
        // A tick of 100 Hz.
        assert_eq!(latency.at(10 * SECOND - 10_000_000), 1_000);
    }
}
