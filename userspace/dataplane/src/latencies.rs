//! How long handshakes took: what the kernel counted, and what can be told from it.

use std::time::Duration;

use muster_packet::{Handshakes, LATENCY_BUCKETS, TICK_NS};
use serde::{Deserialize, Serialize};

/// A histogram of how long completed handshakes took, late ones too. Each bucket is twice as
/// wide as the one before, so that what is told of single handshakes is within a factor of
/// two; the count and the mean are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Shown", into = "Shown")]
pub struct Latencies {
    counts: [u64; LATENCY_BUCKETS],
    sum_ns: u64,
}

/// As JSON has it.
#[derive(Serialize, Deserialize)]
struct Shown {
    count: u64,
    sum_ns: u64,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    /// Those with something in them.
    buckets: Vec<Bucket>,
}

#[derive(Serialize, Deserialize)]
struct Bucket {
    /// What is in it took less; null for what has no bound.
    below_ns: Option<u64>,
    count: u64,
}

// === impl Latencies ===

impl Latencies {
    /// How many handshakes.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How long they took together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// How long one took in the mean; `None` without any.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_ns.checked_div(self.count()).map(Duration::from_nanos)
    }

    /// Each bucket's bound, below which what is in it took, and how many are in it. The last
    /// has none.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bound = |index| Handshakes::bound_ns(index).map(Duration::from_nanos);
        self.counts.iter().enumerate().map(move |(index, count)| (bound(index), *count))
    }

    /// What this fraction of them (from 0 to 1) did not take longer than, read off as if those
    /// of a bucket were spread evenly over it. Of what took longer than a second only that is
    /// known. `None` without any.
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "buckets are less precise by far")]
        let rank = (fraction.clamp(0.0, 1.0) * count as f64).max(1.0);
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            let here = *count as f64;
            if below + here >= rank {
                let (from, to) = bounds(index);
                let width = to.map_or(0.0, |to| to.saturating_sub(from).as_secs_f64());
                return Some(from + Duration::from_secs_f64(width * (rank - below) / here));
            }
            below += here;
        }
        self.max()
    }

    /// What none of them took less than.
    pub fn min(&self) -> Option<Duration> {
        let first = self.counts.iter().position(|count| *count > 0)?;
        Some(bounds(first).0)
    }

    /// What none of them took longer than, as far as that is known.
    pub fn max(&self) -> Option<Duration> {
        let last = self.counts.iter().rposition(|count| *count > 0)?;
        let (from, to) = bounds(last);
        Some(to.unwrap_or(from))
    }

    /// All of these and those.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (count, more) in sum.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        sum.sum_ns = sum.sum_ns.saturating_add(other.sum_ns);
        sum
    }

    /// Those that have come since it was like `earlier`; all, if counting has begun anew.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut new = *self;
        for (count, old) in new.counts.iter_mut().zip(earlier.counts) {
            let Some(more) = count.checked_sub(old) else { return *self };
            *count = more;
        }
        new.sum_ns = new.sum_ns.saturating_sub(earlier.sum_ns);
        new
    }
}

impl From<&Handshakes> for Latencies {
    fn from(of: &Handshakes) -> Self {
        Self { counts: of.latency, sum_ns: of.sum.saturating_mul(TICK_NS) }
    }
}

impl From<Latencies> for Shown {
    fn from(of: Latencies) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let buckets = of.buckets().filter(|(_, count)| *count > 0);
        Self {
            count: of.count(),
            sum_ns: of.sum_ns,
            p50_ns: of.quantile(0.5).map(ns),
            p90_ns: of.quantile(0.9).map(ns),
            p99_ns: of.quantile(0.99).map(ns),
            buckets: buckets
                .map(|(bound, count)| Bucket { below_ns: bound.map(ns), count })
                .collect(),
        }
    }
}

impl From<Shown> for Latencies {
    /// Buckets of another build are put into those that hold all of them.
    fn from(shown: Shown) -> Self {
        let mut of = Self { sum_ns: shown.sum_ns, ..Self::default() };
        for Bucket { below_ns, count } in shown.buckets {
            let fits = |index: &usize| match (below_ns, Handshakes::bound_ns(*index)) {
                (Some(below), Some(bound)) => below <= bound,
                (_, bound) => bound.is_none(),
            };
            let index = (0..LATENCY_BUCKETS).find(fits).unwrap_or(LATENCY_BUCKETS - 1);
            of.counts[index] = of.counts[index].saturating_add(count);
        }
        of
    }
}

/// From when, and below when, a bucket goes.
fn bounds(index: usize) -> (Duration, Option<Duration>) {
    let bound = |index| Handshakes::bound_ns(index).map(Duration::from_nanos);
    (index.checked_sub(1).and_then(bound).unwrap_or_default(), bound(index))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ticks: &[u32]) -> Latencies {
        let mut handshakes = Handshakes::default();
        for ticks in ticks {
            handshakes.latency[Handshakes::bucket(*ticks) as usize] += 1;
            handshakes.sum += u64::from(*ticks);
        }
        Latencies::from(&handshakes)
    }

    proptest! {
        #[test]
        fn quantile_is_within_a_factor_of_two(
            mut ticks in proptest::collection::vec(16u32..1 << 20, 1..200), fraction in 0.0..1.0f64,
        ) {
            let told = of(&ticks).quantile(fraction).unwrap().as_secs_f64();
            ticks.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short list")]
            let rank = ((fraction * ticks.len() as f64).ceil() as usize).max(1);
            let exact = f64::from(ticks[rank - 1]) * 1024e-9;
            prop_assert!(told <= exact * 2.0001 && told * 2.0001 >= exact, "{told} for {exact}");
        }

        #[test]
        fn json_is_read_as_it_was_written(ticks in proptest::collection::vec(any::<u32>(), 0..50)) {
            let latencies = of(&ticks);
            let json = serde_json::to_string(&latencies).unwrap();
            prop_assert_eq!(serde_json::from_str::<Latencies>(&json).unwrap(), latencies);
            prop_assert_eq!(latencies.count(), ticks.len() as u64);
        }

        #[test]
        fn what_is_new_and_what_was_are_all(
            before in proptest::collection::vec(any::<u32>(), 0..50),
            after in proptest::collection::vec(any::<u32>(), 0..50),
        ) {
            let (before, new) = (of(&before), of(&after));
            let all = before.and(&new);
            prop_assert_eq!(all.since(&before), new);
            prop_assert_eq!(all.count(), before.count() + new.count());
        }
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let none = Latencies::default();
        assert_eq!(
            (none.mean(), none.quantile(0.5), none.min(), none.max()),
            (None, None, None, None)
        );
    }

    #[test]
    fn counting_that_begins_anew_is_all_new() {
        let before = of(&[20, 20, 40]);
        let after = of(&[20]);
        assert_eq!(after.since(&before), after);
    }

    #[test]
    fn bounds_tell_least_and_most() {
        let some = of(&[20, 5_000_000]);
        assert_eq!(some.min(), Some(Duration::from_nanos(16_384)));
        // It may have taken longer.
        assert_eq!(some.max(), Some(Duration::from_nanos(1_073_741_824)));
        assert_eq!(some.quantile(1.0), some.max());
    }
}
