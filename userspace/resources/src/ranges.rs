//! Sets of whole numbers, such as ports.

use std::fmt;
use std::sync::Arc;

use crate::Problem;

/// Whole numbers from `begin` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// First number.
    pub begin: u64,
    /// Last number; not less than `begin`.
    pub end: u64,
}

/// A set of whole numbers, kept as the fewest ranges, in order. Clones share them: there are
/// many of what an agent has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ranges(Option<Arc<Vec<Range>>>);

impl Ranges {
    /// The numbers of all of these ranges, which may overlap, be neighbours and be in any
    /// order.
    ///
    /// # Errors
    /// [`Problem::Inverted`] if a range ends before it begins.
    pub fn new(ranges: impl IntoIterator<Item = Range>) -> Result<Self, Problem> {
        let ranges: Vec<Range> = ranges.into_iter().collect();
        match ranges.iter().find(|range| range.begin > range.end) {
            Some(range) => Err(Problem::Inverted { begin: range.begin, end: range.end }),
            None => Ok(Self::coalesce(ranges)),
        }
    }

    fn coalesce(mut ranges: Vec<Range>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            // Neighbours count: 1-2 and 3-4 are 1-4.
            let touches = next.begin <= kept.end.saturating_add(1);
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
        Self::of(ranges)
    }

    /// Of what is in order and apart already.
    fn of(mut ranges: Vec<Range>) -> Self {
        ranges.shrink_to_fit();
        Self((!ranges.is_empty()).then(|| Arc::new(ranges)))
    }

    /// Two ranges that share a number: its first one, if there are such.
    pub(crate) fn overlap(ranges: &[Range]) -> Option<u64> {
        let mut sorted = ranges.to_vec();
        sorted.sort_unstable();
        sorted.windows(2).find(|pair| pair[1].begin <= pair[0].end).map(|pair| pair[1].begin)
    }

    /// The ranges, in order, without neighbours.
    pub fn as_slice(&self) -> &[Range] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The ranges without their ends, as [`std::ops::Range`] is; the last possible number is
    /// left out, which such a range cannot hold.
    pub fn half_open(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        self.as_slice().iter().map(|range| range.begin..range.end.saturating_add(1))
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many numbers are in the set; at most `u64::MAX`.
    pub fn count(&self) -> u64 {
        self.as_slice()
            .iter()
            .fold(0, |sum, range| sum.saturating_add((range.end - range.begin).saturating_add(1)))
    }

    /// Every number, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.as_slice().iter().flat_map(|range| range.begin..=range.end)
    }

    /// Whether every number of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        if self.is_same(other) {
            return true;
        }
        let mut own = self.as_slice().iter().peekable();
        other.as_slice().iter().all(|wanted| {
            while own.next_if(|range| range.end < wanted.begin).is_some() {}
            own.peek().is_some_and(|range| range.begin <= wanted.begin && wanted.end <= range.end)
        })
    }

    /// Adds every number of `other`.
    pub fn add(&mut self, other: &Self) {
        if other.is_empty() || self.is_same(other) {
            return;
        }
        if self.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        *self = Self::coalesce([self.as_slice(), other.as_slice()].concat());
    }

    /// Whether both share their ranges, and so are equal.
    fn is_same(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(own), Some(other)) if Arc::ptr_eq(own, other))
    }

    /// Takes every number of `other` out; what is not there does not matter.
    pub fn subtract(&mut self, other: &Self) {
        if other.is_empty() || self.is_empty() {
            return;
        }
        if self.is_same(other) {
            self.0 = None;
            return;
        }
        let mut left = Vec::with_capacity(self.as_slice().len() + 1);
        let mut taken = other.as_slice().iter().copied().peekable();
        for mut range in self.as_slice().iter().copied() {
            while taken.next_if(|cut| cut.end < range.begin).is_some() {}
            loop {
                match taken.peek() {
                    Some(cut) if cut.begin <= range.end => {
                        if range.begin < cut.begin {
                            left.push(Range { begin: range.begin, end: cut.begin - 1 });
                        }
                        if range.end <= cut.end {
                            // This cut may reach into the next range too.
                            break;
                        }
                        range.begin = cut.end + 1;
                        taken.next();
                    }
                    _ => {
                        left.push(range);
                        break;
                    }
                }
            }
        }
        *self = Self::of(left);
    }
}

impl FromIterator<std::ops::Range<u64>> for Ranges {
    /// From ranges without their ends; empty ones count for nothing.
    fn from_iter<I: IntoIterator<Item = std::ops::Range<u64>>>(ranges: I) -> Self {
        let full = ranges.into_iter().filter(|range| !range.is_empty());
        Self::coalesce(full.map(|range| Range { begin: range.start, end: range.end - 1 }).collect())
    }
}

/// `[31000-31002, 31005-31005]`.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, Range { begin, end }) in self.as_slice().iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{begin}-{end}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[(u64, u64)]) -> Ranges {
        Ranges::new(list.iter().map(|&(begin, end)| Range { begin, end })).unwrap()
    }

    #[test]
    fn the_ends_of_u64_are_numbers_too() {
        let all = ranges(&[(0, u64::MAX)]);
        assert_eq!(all.count(), u64::MAX);
        let mut most = all.clone();
        most.subtract(&ranges(&[(0, 0), (u64::MAX, u64::MAX)]));
        assert_eq!(most, ranges(&[(1, u64::MAX - 1)]));
        most.add(&ranges(&[(u64::MAX, u64::MAX), (0, 0)]));
        assert_eq!(most, all);
        most.subtract(&all);
        assert!(most.is_empty());
    }

    #[test]
    fn one_cut_may_reach_over_several_ranges() {
        let mut left = ranges(&[(1, 3), (5, 7), (9, 11), (20, 30)]);
        left.subtract(&ranges(&[(2, 10), (22, 23), (25, 40)]));
        assert_eq!(left, ranges(&[(1, 1), (11, 11), (20, 21), (24, 24)]));
    }

    #[test]
    fn a_range_may_not_end_before_it_begins() {
        let inverted = Ranges::new([Range { begin: 2, end: 1 }]);
        assert_eq!(inverted, Err(Problem::Inverted { begin: 2, end: 1 }));
    }
}
