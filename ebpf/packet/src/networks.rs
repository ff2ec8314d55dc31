//! The only value of the map `networks`: where VIPs can be at all.

use crate::{Endpoint, layout::map_type};

map_type! {
    /// The networks of 2^24 addresses (`11.0.0.0/8` and so on) that have a VIP.
    ///
    /// Most connections go elsewhere. One look here tells so, where a look for the VIP itself
    /// would cost more than all the rest of what they pay. Which network it is decides little
    /// if VIPs have addresses of the network that everybody else is in, and nearly everything
    /// with those that are given to names: all of them are in one.
    #[derive(Default)]
    pub struct Networks {
        /// Bit `n % 64` of word `n / 64` is set if an address that begins with `n` is a VIP's.
        /// There may be bits too many, while VIPs are changed.
        pub bits: [u64; 4],
    }
}

impl Networks {
    /// Those of some VIPs.
    pub fn of<'a>(vips: impl IntoIterator<Item = &'a Endpoint>) -> Self {
        let mut networks = Self::default();
        for vip in vips {
            let (word, bit) = Self::place(*vip);
            if let Some(word) = networks.bits.get_mut(word) {
                *word |= bit;
            }
        }
        networks
    }

    /// All that are in one of both.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (word, more) in self.bits.iter_mut().zip(other.bits) {
            *word |= more;
        }
        self
    }

    /// False if the address is certainly no VIP's.
    #[inline(always)]
    pub fn may_have(&self, end: &Endpoint) -> bool {
        let (word, bit) = Self::place(*end);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    #[inline(always)]
    const fn place(end: Endpoint) -> (usize, u64) {
        let [first, ..] = end.address;
        ((first >> 6) as usize, 1 << (first & 63))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;

    use super::*;
    use crate::TCP;

    fn end(address: [u8; 4]) -> Endpoint {
        Endpoint::v4(address, 80, TCP)
    }

    proptest! {
        #[test]
        fn network_with_a_vip_may_have_it_and_no_other_network_has(
            vips in proptest::collection::vec(any::<[u8; 4]>(), 0..20), other: [u8; 4],
        ) {
            let ends: std::vec::Vec<_> = vips.iter().copied().map(end).collect();
            let (some, rest) = ends.split_at(ends.len() / 2);
            let networks = Networks::of(&ends);
            prop_assert_eq!(Networks::of(some).union(&Networks::of(rest)), networks);
            prop_assert!(ends.iter().all(|vip| networks.may_have(vip)));
            let near = vips.iter().any(|vip| vip[0] == other[0]);
            prop_assert_eq!(networks.may_have(&end(other)), near);
        }
    }
}
