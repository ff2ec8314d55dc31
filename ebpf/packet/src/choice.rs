//! Which slot a random number means.

/// A slot, and what is left of the random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index of the slot, below the count.
    pub index: u32,
    /// Decides between the slot's backend and that of its alias.
    pub fraction: u32,
}

/// Draws one of `count` slots evenly with one random number.
///
/// The product's upper half is the slot and its lower half the position within the slot
/// (D. Lemire, "Fast random integer generation in an interval", 2019): no division. The
/// error is below `count / 2^32`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
pub const fn choose(random: u32, count: u32) -> Choice {
    let product = random as u64 * count as u64;
    Choice { index: (product >> 32) as u32, fraction: product as u32 }
}

impl Choice {
    /// The slot itself, whatever its alias: every backend that takes connections has one.
    #[inline(always)]
    pub const fn own(index: u32) -> Self {
        Self { index, fraction: 0 }
    }

    /// The same, or the next slot (going round) if it is the slot of another choice.
    #[inline(always)]
    #[must_use]
    pub const fn apart_from(self, other: Self, count: u32) -> Self {
        let index = if self.index == other.index { next(self.index, count) } else { self.index };
        Self { index, fraction: self.fraction }
    }
}

/// The index that follows, going round.
#[inline(always)]
pub const fn next(index: u32, count: u32) -> u32 {
    let next = index.wrapping_add(1);
    if next < count { next } else { 0 }
}

/// A number to [`choose`] with that stays the same for one socket and one table, and is
/// spread evenly over sockets.
///
/// Datagrams of one unconnected socket to a VIP thus go to one backend as long as the VIP's
/// backends stay as they are, as with IPVS, without a flow table.
#[inline(always)]
pub const fn steady(cookie: u64, table: u32) -> u32 {
    // The finalizer of MurmurHash3 (A. Appleby): every input bit reaches every output bit.
    let mut bits = cookie ^ ((table as u64) << 32);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (bits >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn index_is_below_count(random: u32, count in 1u32..) {
            prop_assert!(choose(random, count).index < count);
        }

        #[test]
        fn greater_number_is_never_an_earlier_slot(a: u32, b: u32, count in 1u32..) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(choose(low, count).index <= choose(high, count).index);
        }
    }

    #[test]
    fn slots_apart_are_two() {
        let last = choose(u32::MAX, 3);
        assert_eq!(last.apart_from(last, 3).index, 0);
        assert_eq!(last.apart_from(choose(0, 3), 3), last);
        assert_eq!([0, 1, 2].map(|index| next(index, 3)), [1, 2, 0]);
        assert_eq!(next(0, 0), 0);
    }

    #[test]
    fn slots_get_equal_shares_of_all_numbers() {
        // The lowest number that means slot i is ceil(i * 2^32 / count).
        let count = 7u32;
        for index in 1..count {
            let first = (u64::from(index) << 32).div_ceil(u64::from(count));
            let first = u32::try_from(first).unwrap();
            assert_eq!(choose(first, count).index, index);
            assert_eq!(choose(first - 1, count).index, index - 1);
        }
    }

    #[test]
    fn sockets_are_spread_evenly() {
        // Cookies are consecutive numbers in the kernel.
        let mut hits = [0u32; 10];
        for cookie in 0..10_000 {
            hits[choose(steady(cookie, 3), 10).index as usize] += 1;
        }
        assert!(hits.iter().all(|&n| (850..1150).contains(&n)), "{hits:?}");
    }
}
