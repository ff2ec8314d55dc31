//! What became of forwarded packets, by name.

use std::mem::offset_of;

use muster_packet::Forwarded;
use tracing::{info, warn};

const WORDS: usize = size_of::<Forwarded>() / size_of::<u64>();

/// A [`Forwarded`], as its words.
pub(crate) type Counts = [u64; WORDS];

macro_rules! counters {
    ($($field:ident),+ $(,)?) => {
        [$((stringify!($field), offset_of!(Forwarded, $field) / size_of::<u64>()),)+]
    };
}

/// Name of each counter, and which word it is.
const COUNTERS: [(&str, usize); 23] = counters![
    local,
    remote,
    local_replies,
    remote_replies,
    errors,
    opened,
    displaced,
    full,
    ports,
    flood,
    no_backend,
    first_fragments,
    later_fragments,
    hops,
    malformed,
    unresolved,
    no_route,
    too_big,
    told_reset,
    told_unreachable,
    told_too_big,
    told_expired,
    untold,
];

/// The counters, summed over all processors.
pub(crate) fn sum(processors: &[Counts]) -> Vec<(&'static str, u64)> {
    let total = |word: usize| {
        let counts = processors.iter().filter_map(|counts| counts.get(word));
        counts.fold(0u64, |sum, count| sum.wrapping_add(*count))
    };
    COUNTERS.iter().map(|(name, word)| (*name, total(*word))).collect()
}

/// True if a counter is of flows: all others are of packets.
pub(crate) fn is_of_flows(name: &str) -> bool {
    matches!(name, "opened" | "displaced")
}

/// The counters of flows that could not begin, and why.
const REFUSALS: [(&str, &str); 3] = [
    ("full", "map tracked: no flow gives up its place for a new one; --vip-flows makes it larger"),
    ("ports", "no port of 10000 to 30999 is free towards a backend on another machine"),
    ("flood", "more began than --vip-new-flows allows each processor in a second"),
];

/// What has been said of flows that could not begin.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// How many there were, by [`REFUSALS`], when it was last asked; before that nobody knows.
    seen: Option<[u64; REFUSALS.len()]>,
    /// Which of them have been said to be.
    told: [bool; REFUSALS.len()],
}

// === impl Refusals ===

impl Refusals {
    /// Logs that flows cannot begin, and why, when that begins and when it ends. Not how often: a flood would fill the log.
    pub(crate) fn tell(&mut self, counters: &[(&'static str, u64)]) {
        let count = |name| counters.iter().find(|(of, _)| *of == name).map_or(0, |(_, n)| *n);
        let now = REFUSALS.map(|(name, _)| count(name));
        let seen = self.seen.replace(now).unwrap_or(now);
        let news = REFUSALS.iter().zip(now.iter().zip(&seen)).zip(&mut self.told);
        for (((_, reason), (now, seen)), told) in news {
            let dropped = now.wrapping_sub(*seen);
            if dropped > 0 && !*told {
                warn!(dropped, reason, "flows of other machines to VIPs were refused");
            } else if dropped == 0 && *told {
                info!(reason, "no flow was refused any more");
            }
            *told = dropped > 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_summed_by_field() {
        let mut counts = [0; WORDS];
        for (value, word) in (1..).zip(&mut counts) {
            *word = value;
        }
        let sums = sum(&[counts, counts]);
        assert_eq!(sums[0], ("local", 2));
        assert_eq!(sums[17], ("too_big", 36));
        assert_eq!(sums[22], ("untold", 46));
    }

    #[test]
    fn refusals_are_told_once() {
        let mut refusals = Refusals::default();
        let mut told = |full, ports| {
            refusals.tell(&[("local", 9), ("full", full), ("ports", ports), ("flood", full)]);
            refusals.told
        };
        // What was before this process began is old.
        assert_eq!(told(5, 0), [false, false, false]);
        assert_eq!(told(6, 0), [true, false, true]);
        assert_eq!(told(7, 1), [true, true, true]);
        assert_eq!(told(7, 2), [false, true, false]);
        assert_eq!(told(7, 2), [false, false, false]);
    }
}
