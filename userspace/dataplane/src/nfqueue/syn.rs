//! Which connection a SYN begins.

use std::net::SocketAddrV4;

use muster_packet::{ACK, Address, FIN, RST, SYN, TCP, parse_ip_segment};

use super::conntrack::Flow;

/// The flow that an IPv4 packet begins. `None` if it begins none: the rules queue nothing else, but
/// anybody may write rules.
pub(super) fn parse(packet: &[u8]) -> Option<Flow> {
    let segment = parse_ip_segment(packet)?;
    let tuple = segment.tuple;
    if tuple.protocol != TCP || segment.flags & (FIN | SYN | RST | ACK) != SYN {
        return None;
    }
    let end = |address: Address, port| {
        address.is_v4().then(|| SocketAddrV4::new(address.last().into(), port))
    };
    Some(Flow {
        client: end(tuple.source, tuple.source_port)?,
        vip: end(tuple.destination, tuple.destination_port)?,
    })
}

#[cfg(test)]
mod tests {
    use muster_packet::{Built, Endpoint, UDP};
    use proptest::prelude::*;

    use super::*;

    fn built(protocol: u8, flags: u8) -> Built {
        let end = |address: &str| Endpoint::at(address.parse().unwrap(), protocol);
        Built::new(end("10.0.0.1:40000"), end("11.0.0.1:80"), flags)
    }

    #[test]
    fn syn_is_read_with_and_without_options() {
        let flow =
            Flow { client: "10.0.0.1:40000".parse().unwrap(), vip: "11.0.0.1:80".parse().unwrap() };
        // Flags of congestion control are no matter.
        assert_eq!(parse(&built(TCP, SYN | 0xc0).ip()), Some(flow));
        let mut long = Built { options: vec![1; 40], ..built(TCP, SYN) };
        assert_eq!(parse(&long.ip()), Some(flow));
        // What is queued ends behind the headers.
        long.payload = vec![0; 1000];
        assert_eq!(parse(&long.ip()[..120]), Some(flow));
    }

    #[test]
    fn anything_else_is_left_alone() {
        for flags in [ACK, SYN | ACK, SYN | FIN, SYN | RST, 0] {
            assert_eq!(parse(&built(TCP, flags).ip()), None);
        }
        assert_eq!(parse(&built(UDP, SYN).ip()), None);
        let fragment = Built { fragment: 1, ..built(TCP, SYN) };
        assert_eq!(parse(&fragment.ip()), None);
        for length in 0..40 {
            assert_eq!(parse(&built(TCP, SYN).ip()[..length]), None);
        }
        // Nor is IPv6, whatever it begins.
        let mut six = vec![0x60, 0, 0, 0, 0, 20, TCP, 64];
        six.extend([1; 32]);
        six.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, SYN, 0, 0, 0, 0, 0, 0]);
        assert!(parse_ip_segment(&six[..]).is_some());
        assert_eq!(parse(&six), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            parse(&bytes);
        }
    }
}
