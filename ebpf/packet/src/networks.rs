//! The only value of the map `networks`: where VIPs can be at all.

use crate::{Endpoint, layout::map_type};

map_type! {
    /// The networks that have a VIP: of IPv4 those of 2^24 addresses (`11.0.0.0/8` and so on),
    /// of IPv6 those of 2^112 (`fd01::/16`), 256 of which share a bit.
    ///
    /// Most connections go elsewhere. One look here tells so, where a look for the VIP itself
    /// would cost more than all the rest of what they pay. Which network it is decides little
    /// if VIPs have addresses of the network that everybody else is in, and nearly everything
    /// with those that are given to names: all of them are in one.
    #[derive(Default)]
    pub struct Networks {
        /// Bit `n % 64` of word `n / 64` is set if an IPv4 address that begins with `n` is a
        /// VIP's. There may be bits too many, while VIPs are changed.
        pub ipv4: [u64; 4],
        /// The same for IPv6 addresses, `n` being their first two bytes, one XOR the other.
        pub ipv6: [u64; 4],
    }
}

impl Networks {
    /// Those of some VIPs.
    pub fn of<'a>(vips: impl IntoIterator<Item = &'a Endpoint>) -> Self {
        let mut networks = Self::default();
        for vip in vips {
            let (bits, number) = match vip.ipv4() {
                Some([first, ..]) => (&mut networks.ipv4, first),
                None => (&mut networks.ipv6, folded(vip)),
            };
            if let Some(word) = bits.get_mut(usize::from(number >> 6)) {
                *word |= 1 << (number & 63);
            }
        }
        networks
    }

    /// All that are in one of both.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        let words = self.ipv4.iter_mut().chain(&mut self.ipv6);
        for (word, more) in words.zip(other.ipv4.iter().chain(&other.ipv6)) {
            *word |= more;
        }
        self
    }

    /// False if the address is certainly no VIP's.
    #[inline(always)]
    pub fn may_have(&self, end: &Endpoint) -> bool {
        let (bits, number) = match end.ipv4() {
            Some([first, ..]) => (&self.ipv4, first),
            None => (&self.ipv6, folded(end)),
        };
        bits.get(usize::from(number >> 6)).is_some_and(|word| word >> (number & 63) & 1 != 0)
    }
}

/// Which bit an IPv6 address has.
#[inline(always)]
const fn folded(end: &Endpoint) -> u8 {
    let [first, second, ..] = end.address;
    first ^ second
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;

    use super::*;
    use crate::TCP;

    /// An address that is one of IPv4 as often as not.
    type Address = (bool, [u8; 16]);

    fn end((is_ipv4, address): Address) -> Endpoint {
        match address {
            [a, b, c, d, ..] if is_ipv4 => Endpoint::v4([a, b, c, d], 80, TCP),
            _ => Endpoint::v6(address, 80, TCP),
        }
    }

    /// Two addresses that are alike in this have one bit.
    fn network((is_ipv4, address): Address) -> (bool, u8) {
        (is_ipv4, if is_ipv4 { address[0] } else { address[0] ^ address[1] })
    }

    proptest! {
        #[test]
        fn network_with_a_vip_may_have_it_and_no_other_network_has(
            vips in proptest::collection::vec(any::<Address>(), 0..20), other: Address,
        ) {
            let ends: std::vec::Vec<_> = vips.iter().copied().map(end).collect();
            let (some, rest) = ends.split_at(ends.len() / 2);
            let networks = Networks::of(&ends);
            prop_assert_eq!(Networks::of(some).union(&Networks::of(rest)), networks);
            prop_assert!(ends.iter().all(|vip| networks.may_have(vip)));
            let near = vips.iter().any(|vip| network(*vip) == network(other));
            prop_assert_eq!(networks.may_have(&end(other)), near);
        }
    }

    #[test]
    fn families_do_not_share_bits() {
        let eleven = Endpoint::v4([11, 0, 0, 1], 80, TCP);
        let mut address = [0; 16];
        address[0] = 11;
        let other = Endpoint::v6(address, 80, TCP);
        assert!(!Networks::of([&eleven]).may_have(&other));
        assert!(!Networks::of([&other]).may_have(&eleven));
    }
}
