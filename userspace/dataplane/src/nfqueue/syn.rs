//! Which connection a SYN begins.

use std::net::{Ipv4Addr, SocketAddrV4};

use muster_packet::TCP;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Both ends of a connection that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syn {
    pub(super) client: SocketAddrV4,
    pub(super) vip: SocketAddrV4,
}

/// Reads an IPv4 packet (RFC 791) with a TCP segment (RFC 9293). `None` unless it begins a
/// connection: the rules queue nothing else, but anybody may write rules.
pub(super) fn parse(packet: &[u8]) -> Option<Syn> {
    let first = *packet.first()?;
    if first >> 4 != 4 {
        return None;
    }
    let header = packet.get(..usize::from(first & 15) * 4)?;
    if *header.get(9)? != TCP {
        return None;
    }
    // Anything but the first fragment has no ports.
    if (u16::from_be_bytes([header[6], header[7]]) & 0x1fff) != 0 {
        return None;
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(header.get(at..at + 4)?).ok()?.into())
    };
    let segment = packet.get(header.len()..header.len() + 14)?;
    if segment[13] & (FIN | SYN | RST | ACK) != SYN {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    Some(Syn {
        client: SocketAddrV4::new(address(12)?, port(0)),
        vip: SocketAddrV4::new(address(16)?, port(2)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet with this many bytes of IP options.
    fn packet(options: usize, flags: u8) -> Vec<u8> {
        let mut packet = vec![0; 20 + options];
        packet[0] = 0x40 | u8::try_from((20 + options) / 4).unwrap();
        packet[9] = TCP;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[11, 0, 0, 1]);
        packet.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        packet
    }

    #[test]
    fn syn_is_read_with_and_without_options() {
        let syn =
            Syn { client: "10.0.0.1:40000".parse().unwrap(), vip: "11.0.0.1:80".parse().unwrap() };
        // Flags of congestion control are no matter.
        assert_eq!(parse(&packet(0, SYN | 0xc0)), Some(syn));
        assert_eq!(parse(&packet(40, SYN)), Some(syn));
    }

    #[test]
    fn anything_else_is_left_alone() {
        for flags in [ACK, SYN | ACK, SYN | FIN, SYN | RST, 0] {
            assert_eq!(parse(&packet(0, flags)), None);
        }
        let mut udp = packet(0, SYN);
        udp[9] = 17;
        assert_eq!(parse(&udp), None);
        let mut fragment = packet(0, SYN);
        fragment[7] = 1;
        assert_eq!(parse(&fragment), None);
        for length in 0..34 {
            assert_eq!(parse(&packet(0, SYN)[..length]), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            parse(&bytes);
        }
    }
}
