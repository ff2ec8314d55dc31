//! IP addresses of both families.

use crate::Endpoint;

/// `0:0:ffff:0:0/96`'s last word before the IPv4 address, as it lies in memory.
const MAPPED: [u8; 4] = [0, 0, 0xff, 0xff];

/// An IPv6 address, or an IPv4 address as its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), in
/// two words: on the kernel side two loads and two comparisons.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Address {
    /// The bytes in the order they are written in.
    pub words: [u64; 2],
}

impl PartialEq for Address {
    // The derived one compares bytes in memory, which has to be made for it.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.words[0] == other.words[0] && self.words[1] == other.words[1]
    }
}

impl Address {
    /// No address: `::`.
    pub const NONE: Self = Self { words: [0, 0] };

    /// Of the sixteen bytes.
    #[inline(always)]
    pub const fn new(bytes: [u8; 16]) -> Self {
        // SAFETY: as many bytes, any of which are numbers.
        Self { words: unsafe { core::mem::transmute::<[u8; 16], [u64; 2]>(bytes) } }
    }

    /// Of an IPv4 address.
    #[inline(always)]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        // SAFETY: as many bytes, any of which are a number.
        let low = unsafe { core::mem::transmute::<[[u8; 4]; 2], u64>([MAPPED, bytes]) };
        Self { words: [0, low] }
    }

    /// The sixteen bytes.
    #[inline(always)]
    pub const fn bytes(self) -> [u8; 16] {
        // SAFETY: as many bytes.
        unsafe { core::mem::transmute::<[u64; 2], [u8; 16]>(self.words) }
    }

    /// The last four bytes: of an IPv4 address, all of it.
    #[inline(always)]
    pub const fn last(self) -> [u8; 4] {
        let [_, _, _, _, a, b, c, d] = self.words[1].to_ne_bytes();
        [a, b, c, d]
    }

    /// Of an endpoint.
    #[inline(always)]
    pub const fn of(end: &Endpoint) -> Self {
        Self::new(end.address)
    }

    /// The endpoint with this address.
    #[inline(always)]
    pub const fn endpoint(self, port: u16, protocol: u8) -> Endpoint {
        Endpoint::v6(self.bytes(), port, protocol)
    }

    /// True if it is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        let prefix = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        let mask = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        self.words[0] == 0 && self.words[1] & mask == prefix
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back(bytes: [u8; 16], four: [u8; 4]) {
            prop_assert_eq!(Address::new(bytes).bytes(), bytes);
            let mapped = Ipv4Addr::from(four).to_ipv6_mapped().octets();
            prop_assert_eq!(Address::v4(four).bytes(), mapped);
            prop_assert_eq!(Address::v4(four), Address::new(mapped));
            prop_assert_eq!(Address::v4(four).last(), four);
            prop_assert!(Address::v4(four).is_v4());
        }

        #[test]
        fn other_addresses_are_of_the_other_family(first in 1u8.., rest: [u8; 15]) {
            let mut bytes = [first; 16];
            bytes[1..].copy_from_slice(&rest);
            prop_assert!(!Address::new(bytes).is_v4());
        }
    }
}
