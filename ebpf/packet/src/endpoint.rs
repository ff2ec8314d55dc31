//! An address, a port and a protocol: what a VIP and what a backend is.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::layout::map_type;

/// IANA's number of TCP.
pub const TCP: u8 = 6;

/// IANA's number of UDP.
pub const UDP: u8 = 17;

/// The third word of an IPv4-mapped IPv6 address: `::ffff:0:0/96` (RFC 4291, section 2.5.5.2).
const MAPPED: u32 = 0xffff_u32.to_be();

map_type! {
    /// One end of a connection, of either family.
    ///
    /// ```text
    ///  0                              16      18  19              24
    /// +---+---+---+---+---+---+---+---+-------+---+---------------+
    /// |            address            | port  |pr |       0       |
    /// +---+---+---+---+---+---+---+---+-------+---+---------------+
    /// ```
    ///
    /// Three words of 64 bits: that is how it is made, compared and copied on the kernel side.
    #[derive(Hash, PartialOrd, Ord, Default)]
    pub struct Endpoint {
        /// IPv6 address, in the order it is written in. An IPv4 address is the IPv6 address
        /// that maps it, `::ffff:a.b.c.d`, as sockets that speak both families have it.
        pub address: [u8; 16],
        /// 1 to 65535, in host order.
        pub port: u16,
        /// [`TCP`] or [`UDP`]: the same port is another VIP in the other protocol.
        pub protocol: u8,
        /// Zero: the kernel hashes it.
        _pad: [u8; 5],
    }
}

impl Endpoint {
    /// An endpoint at an IPv4 address.
    #[inline(always)]
    pub const fn v4(address: [u8; 4], port: u16, protocol: u8) -> Self {
        Self::mapped(u32::from_ne_bytes(address), port, protocol)
    }

    /// An endpoint at an IPv6 address. One that maps an IPv4 address is that one's.
    #[inline(always)]
    pub const fn v6(address: [u8; 16], port: u16, protocol: u8) -> Self {
        Self { address, port, protocol, _pad: [0; 5] }
    }

    /// An endpoint of a protocol at a socket address. IPv6's scope and flow label are no part of it.
    pub const fn at(address: SocketAddr, protocol: u8) -> Self {
        match address.ip() {
            IpAddr::V4(ip) => Self::v4(ip.octets(), address.port(), protocol),
            IpAddr::V6(ip) => Self::v6(ip.octets(), address.port(), protocol),
        }
    }

    /// The address and port.
    pub const fn socket_address(&self) -> SocketAddr {
        let ip = match self.ipv4() {
            Some(ip) => IpAddr::V4(Ipv4Addr::from_octets(ip)),
            None => IpAddr::V6(Ipv6Addr::from_octets(self.address)),
        };
        SocketAddr::new(ip, self.port)
    }

    /// From what a socket address context holds for IPv4: `user_ip4` and `user_port` (both in
    /// network order) and `protocol`. `None` for protocols that have no VIPs.
    #[inline(always)]
    pub const fn from_ip4(user_ip4: u32, user_port: u32, protocol: u32) -> Option<Self> {
        Self::from_ip6([0, join(MAPPED, user_ip4)], user_port, protocol)
    }

    /// The same for IPv6: `user_ip6` as two words, `user_port` and `protocol`.
    #[inline(always)]
    pub const fn from_ip6(user_ip6: [u64; 2], user_port: u32, protocol: u32) -> Option<Self> {
        // Compared as numbers, not matched as patterns: one branch each in the kernel.
        if protocol != TCP as u32 && protocol != UDP as u32 {
            return None;
        }
        // The upper half of user_port is always zero.
        #[expect(clippy::cast_possible_truncation, reason = "ports are 16 bits, protocols 8")]
        let rest = tail(u16::from_be(user_port as u16), protocol as u8);
        Some(Self::from_words([user_ip6[0], user_ip6[1], rest]))
    }

    #[inline(always)]
    const fn mapped(ip4: u32, port: u16, protocol: u8) -> Self {
        Self::from_words([0, join(MAPPED, ip4), tail(port, protocol)])
    }

    /// All of it as three numbers: on the kernel side three loads, where a copy goes field by
    /// field.
    #[inline(always)]
    pub const fn words(&self) -> [u64; 3] {
        // SAFETY: as many bytes without padding (asserted by `map_type`), any of which are
        // numbers.
        unsafe { core::mem::transmute::<Self, [u64; 3]>(*self) }
    }

    /// The endpoint of which these are the [`words`](Self::words).
    #[inline(always)]
    pub const fn from_words(words: [u64; 3]) -> Self {
        // SAFETY: as many bytes without padding, and all of its fields are integers.
        unsafe { core::mem::transmute::<[u64; 3], Self>(words) }
    }

    /// True if both are one: on the kernel side three comparisons and one branch, where the
    /// derived `==` goes byte by byte.
    #[inline(always)]
    pub const fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.words(), other.words());
        (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) == 0
    }

    /// The address, if it is one of IPv4.
    #[inline(always)]
    pub const fn ipv4(&self) -> Option<[u8; 4]> {
        let words = self.words();
        let (third, fourth) = split(words[1]);
        if words[0] == 0 && third == MAPPED { Some(fourth.to_ne_bytes()) } else { None }
    }

    /// The value of `user_ip4` for this address, which is one of IPv4.
    #[inline(always)]
    pub const fn user_ip4(&self) -> u32 {
        split(self.words()[1]).1
    }

    /// The value of `user_ip6` for this address, whichever family it is of.
    #[inline(always)]
    pub const fn user_ip6(&self) -> [u64; 2] {
        let [first, second, _] = self.words();
        [first, second]
    }

    /// The value of `user_port` for this port.
    #[inline(always)]
    pub const fn user_port(&self) -> u32 {
        self.port.to_be() as u32
    }
}

/// Two words as they follow each other in memory.
#[inline(always)]
const fn join(first: u32, second: u32) -> u64 {
    if cfg!(target_endian = "little") {
        first as u64 | (second as u64) << 32
    } else {
        (first as u64) << 32 | second as u64
    }
}

/// What was [`join`]ed.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
const fn split(both: u64) -> (u32, u32) {
    let (low, high) = (both as u32, (both >> 32) as u32);
    if cfg!(target_endian = "little") { (low, high) } else { (high, low) }
}

/// An endpoint's third word.
#[inline(always)]
const fn tail(port: u16, protocol: u8) -> u64 {
    let [first, second] = port.to_ne_bytes();
    join(u32::from_ne_bytes([first, second, protocol, 0]), 0)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use proptest::prelude::*;

    use super::*;

    /// As the kernel holds the address of a `sockaddr_in6`.
    fn user_ip6(address: Ipv6Addr) -> [u64; 2] {
        let octets = address.octets();
        let halves = octets.as_chunks().0;
        [u64::from_ne_bytes(halves[0]), u64::from_ne_bytes(halves[1])]
    }

    fn protocol(udp: bool) -> u8 {
        if udp { UDP } else { TCP }
    }

    proptest! {
        #[test]
        fn context_and_endpoint_are_two_views_of_one_address(ip: [u8; 4], port: u16, udp: bool) {
            let protocol = protocol(udp);
            // As the kernel holds a sockaddr_in.
            let (ip4, be) = (u32::from_ne_bytes(ip), u32::from(port.to_be()));
            let end = Endpoint::from_ip4(ip4, be, u32::from(protocol)).unwrap();
            prop_assert_eq!(end, Endpoint::v4(ip, port, protocol));
            prop_assert_eq!((end.user_ip4(), end.user_port()), (ip4, be));
            prop_assert_eq!((end.ipv4(), end.port, end.protocol), (Some(ip), port, protocol));
            prop_assert_eq!(end.socket_address(), SocketAddr::from((ip, port)));
            prop_assert_eq!(Endpoint::at(end.socket_address(), protocol), end);
            // A socket that speaks both families names it by the address that maps it.
            let mapped = Ipv4Addr::from(ip).to_ipv6_mapped();
            prop_assert_eq!(end.user_ip6(), user_ip6(mapped));
            prop_assert_eq!(Endpoint::v6(mapped.octets(), port, protocol), end);
            prop_assert_eq!(Endpoint::from_ip6(user_ip6(mapped), be, u32::from(protocol)), Some(end));
        }

        #[test]
        fn ipv6_context_and_endpoint_are_two_views_of_one_address(ip: [u8; 16], port: u16, udp: bool) {
            let protocol = protocol(udp);
            let (ip6, be) = (user_ip6(ip.into()), u32::from(port.to_be()));
            let end = Endpoint::from_ip6(ip6, be, u32::from(protocol)).unwrap();
            prop_assert_eq!(end, Endpoint::v6(ip, port, protocol));
            prop_assert_eq!((end.user_ip6(), end.user_port()), (ip6, be));
            prop_assert_eq!(Endpoint::at(end.socket_address(), protocol), end);
            prop_assert_eq!(end.ipv4(), Ipv6Addr::from(ip).to_ipv4_mapped().map(|ip| ip.octets()));
        }

        #[test]
        fn endpoints_are_one_if_all_fields_are_equal(
            a in (0u8..2, 0u8..2, 0u16..2, any::<bool>()), b in (0u8..2, 0u8..2, 0u16..2, any::<bool>()),
        ) {
            let end = |(first, last, port, udp): (u8, u8, u16, bool)| {
                let mut address = [0; 16];
                (address[0], address[15]) = (first, last);
                Endpoint::v6(address, port, protocol(udp))
            };
            prop_assert_eq!(end(a).is(&end(b)), a == b);
            prop_assert_eq!(end(a) == end(b), a == b);
            prop_assert_eq!(Endpoint::from_words(end(a).words()), end(a));
        }

        #[test]
        fn other_protocols_have_no_vips(protocol in any::<u32>()) {
            prop_assume!(protocol != u32::from(TCP) && protocol != u32::from(UDP));
            prop_assert_eq!(Endpoint::from_ip4(1, 1, protocol), None);
            prop_assert_eq!(Endpoint::from_ip6([1, 1], 1, protocol), None);
        }
    }

    #[test]
    fn address_reads_as_it_is_written() {
        let on_the_wire = u32::from_ne_bytes([11, 0, 0, 1]);
        let end = Endpoint::from_ip4(on_the_wire, u32::from(80u16.to_be()), 6).unwrap();
        assert_eq!(end.address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 11, 0, 0, 1]);
        assert_eq!(end.port, 80);
    }
}
