//! An address, a port and a protocol: what a VIP and what a backend is.

use crate::layout::map_type;

/// IANA's number of TCP.
pub const TCP: u8 = 6;

/// IANA's number of UDP.
pub const UDP: u8 = 17;

map_type! {
    /// One end of a connection.
    ///
    /// ```text
    ///  0               4       6  7  8
    /// +---+---+---+---+---+---+--+--+
    /// |    address    | port  |pr| 0|
    /// +---+---+---+---+---+---+--+--+
    /// ```
    #[derive(Hash, PartialOrd, Ord, Default)]
    pub struct Endpoint {
        /// IPv4 address, in the order it is written in.
        pub address: [u8; 4],
        /// 1 to 65535, in host order.
        pub port: u16,
        /// [`TCP`] or [`UDP`]: the same port is another VIP in the other protocol.
        pub protocol: u8,
        /// Zero: the kernel hashes it.
        _pad: u8,
    }
}

impl Endpoint {
    /// An endpoint at an IPv4 address.
    #[inline(always)]
    pub const fn v4(address: [u8; 4], port: u16, protocol: u8) -> Self {
        Self { address, port, protocol, _pad: 0 }
    }

    /// From what a socket address context holds: `user_ip4` and `user_port` (both in
    /// network order) and `protocol`. `None` for protocols that have no VIPs.
    #[inline(always)]
    pub const fn from_context(user_ip4: u32, user_port: u32, protocol: u32) -> Option<Self> {
        // Compared as numbers, not matched as patterns: one branch each in the kernel.
        if protocol != TCP as u32 && protocol != UDP as u32 {
            return None;
        }
        // The upper half of user_port is always zero.
        #[expect(clippy::cast_possible_truncation, reason = "ports are 16 bits, protocols 8")]
        Some(Self::v4(user_ip4.to_ne_bytes(), u16::from_be(user_port as u16), protocol as u8))
    }

    /// All of it as one number: on the kernel side one load and one comparison, where the
    /// derived `==` goes byte by byte.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        // SAFETY: eight bytes without padding (asserted by `map_type`), any of which are a u64.
        unsafe { core::mem::transmute::<Self, u64>(self) }
    }

    /// The endpoint of which this is [`bits`](Self::bits).
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        // SAFETY: eight bytes without padding, and all of its fields are integers.
        unsafe { core::mem::transmute::<u64, Self>(bits) }
    }

    /// The value of `user_ip4` for this address.
    #[inline(always)]
    pub const fn user_ip4(&self) -> u32 {
        u32::from_ne_bytes(self.address)
    }

    /// The value of `user_port` for this port.
    #[inline(always)]
    pub const fn user_port(&self) -> u32 {
        self.port.to_be() as u32
    }

    /// True if address and port are equal, whatever the protocol.
    #[inline(always)]
    pub const fn is_at(&self, user_ip4: u32, user_port: u32) -> bool {
        self.user_ip4() == user_ip4 && self.user_port() == user_port
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::net::{Ipv4Addr, SocketAddrV4};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn context_and_endpoint_are_two_views_of_one_address(bits: u32, port: u16, udp: bool) {
            let protocol = if udp { UDP } else { TCP };
            // As the kernel holds a sockaddr_in.
            let (ip4, be) = (bits, u32::from(port.to_be()));
            let end = Endpoint::from_context(ip4, be, u32::from(protocol)).unwrap();
            prop_assert_eq!(end.user_ip4(), ip4);
            prop_assert_eq!(end.user_port(), be);
            prop_assert!(end.is_at(ip4, be));
            prop_assert_ne!(end.bits(), Endpoint::v4(end.address, port, 1).bits());
            prop_assert_eq!(end, Endpoint::v4(ip4.to_ne_bytes(), port, protocol));
        }

        #[test]
        fn other_protocols_have_no_vips(protocol in any::<u32>()) {
            prop_assume!(protocol != u32::from(TCP) && protocol != u32::from(UDP));
            prop_assert_eq!(Endpoint::from_context(1, 1, protocol), None);
        }
    }

    #[test]
    fn address_reads_as_it_is_written() {
        let address = SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, 1), 80);
        let on_the_wire = u32::from_ne_bytes(address.ip().octets());
        let end = Endpoint::from_context(on_the_wire, u32::from(80u16.to_be()), 6).unwrap();
        assert_eq!(end.address, [11, 0, 0, 1]);
        assert_eq!(end.port, 80);
    }
}
