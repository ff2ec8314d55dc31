//! What became of forwarded packets, by name.

use std::mem::offset_of;

use muster_packet::Forwarded;

const WORDS: usize = size_of::<Forwarded>() / size_of::<u64>();

/// A [`Forwarded`], as its words.
pub(crate) type Counts = [u64; WORDS];

macro_rules! counters {
    ($($field:ident),+ $(,)?) => {
        [$((stringify!($field), offset_of!(Forwarded, $field) / size_of::<u64>()),)+]
    };
}

/// Name of each counter, and which word it is.
const COUNTERS: [(&str, usize); 18] = counters![
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
];

/// The counters, summed over all processors.
pub(crate) fn sum(processors: &[Counts]) -> Vec<(&'static str, u64)> {
    let total = |word: usize| {
        let counts = processors.iter().filter_map(|counts| counts.get(word));
        counts.fold(0u64, |sum, count| sum.wrapping_add(*count))
    };
    COUNTERS.iter().map(|(name, word)| (*name, total(*word))).collect()
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
    }
}
