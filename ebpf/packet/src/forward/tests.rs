//! Whole flows, in user space.

extern crate std;

use std::{collections::HashMap, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Address, Endpoint, TCP, UDP};

mod six;

const CLIENT: [u8; 4] = [192, 0, 2, 7];
const VIP: [u8; 4] = [11, 0, 0, 1];
const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 0, 0, 2];

fn rules() -> Forwarding {
    Forwarding { tracked: 256, buckets: 128, ..Forwarding::new(Some(HERE), None, 42) }
}

/// A machine whose VIP has backends here or elsewhere.
fn host(protocol: u8, backends: &[[u8; 4]]) -> Host {
    let mut host = Host::new(rules());
    host.own(Address::v4(HERE));
    let backends: Vec<_> = backends.iter().map(|&a| Endpoint::v4(a, 31_000, protocol)).collect();
    host.serve(Endpoint::v4(VIP, 80, protocol), &backends);
    host
}

fn client(port: u16, protocol: u8) -> Endpoint {
    Endpoint::v4(CLIENT, port, protocol)
}

fn vip(protocol: u8) -> Endpoint {
    Endpoint::v4(VIP, 80, protocol)
}

/// What the packet is now, for who gets it: its checksums are right.
fn ends(frame: &[u8]) -> (Endpoint, Endpoint) {
    let Parsed::Segment(segment) = parse(frame) else { panic!("{frame:02x?}") };
    let (at, payload) = (segment.ip.at as usize, segment.ip.payload as usize);
    let end = segment.ip.end as usize;
    let is_v4 = segment.ip.source.is_v4();
    assert!(!is_v4 || checksum(&frame[at..payload]) == 0, "IP checksum");
    let sum_at = payload + if segment.tuple.protocol == TCP { 16 } else { 6 };
    if segment.tuple.protocol == TCP || frame[sum_at..sum_at + 2] != [0, 0] {
        let addresses = if is_v4 { at + 12..at + 20 } else { at + 8..at + 40 };
        let mut pseudo = frame[addresses].to_vec();
        pseudo.extend([0, segment.tuple.protocol]);
        pseudo.extend(u16::try_from(end - payload).unwrap().to_be_bytes());
        pseudo.extend(&frame[payload..end]);
        assert_eq!(checksum(&pseudo), 0, "checksum of the transport");
    }
    let Tuple { source, destination, source_port, destination_port, protocol } = segment.tuple;
    (source.endpoint(source_port, protocol), destination.endpoint(destination_port, protocol))
}

/// Sends a packet from a client's port to the VIP; where it went.
fn ask(host: &Host, port: u16, protocol: u8, flags: u8) -> Option<(Endpoint, Endpoint)> {
    let mut frame = Built::new(client(port, protocol), vip(protocol), flags).frame();
    let outcome = host.run(&mut frame, Side::Ingress);
    matches!(outcome, Outcome::Pass | Outcome::Transmit).then(|| ends(&frame))
}

/// Answers what arrived at a backend; what the client gets.
fn answer(host: &Host, arrived: (Endpoint, Endpoint), flags: u8) -> (Endpoint, Endpoint) {
    let (from, to) = arrived;
    let mut frame = Built::new(to, from, flags).frame();
    let is_here = Address::of(&to) == Address::v4(HERE);
    host.run(&mut frame, if is_here { Side::Egress } else { Side::Ingress });
    ends(&frame)
}

#[test]
fn backend_here_sees_the_client_and_the_client_the_vip() {
    for protocol in [TCP, UDP] {
        let host = host(protocol, &[HERE]);
        let arrived = ask(&host, 4_000, protocol, SYN).unwrap();
        assert_eq!(arrived, (client(4_000, protocol), Endpoint::v4(HERE, 31_000, protocol)));
        let answered = answer(&host, arrived, SYN | ACK);
        assert_eq!(answered, (vip(protocol), client(4_000, protocol)));
        assert_eq!(ask(&host, 4_000, protocol, ACK), Some(arrived));
        assert_eq!(host.counted(Event::Opened), 1);
        assert_eq!(host.counted(Event::Local), 2);
        assert_eq!(host.counted(Event::LocalReply), 1);
    }
}

#[test]
fn backend_elsewhere_sees_this_machine_and_the_client_the_vip() {
    for protocol in [TCP, UDP] {
        let host = host(protocol, &[THERE]);
        let (source, backend) = ask(&host, 4_000, protocol, SYN).unwrap();
        assert_eq!(backend, Endpoint::v4(THERE, 31_000, protocol));
        assert_eq!(Address::of(&source), Address::v4(HERE));
        assert!((FIRST_PORT..=LAST_PORT).contains(&source.port));
        let answered = answer(&host, (source, backend), SYN | ACK);
        assert_eq!(answered, (vip(protocol), client(4_000, protocol)));
        assert_eq!(ask(&host, 4_000, protocol, ACK), Some((source, backend)));
        assert_eq!(host.counted(Event::Remote), 2);
        assert_eq!(host.counted(Event::RemoteReply), 1);
    }
}

#[test]
fn new_connection_from_the_port_of_an_ended_one_goes_to_who_is_there_now() {
    let mut host = host(TCP, &[HERE]);
    let arrived = ask(&host, 4_000, TCP, SYN).unwrap();
    answer(&host, arrived, SYN | ACK);
    ask(&host, 4_000, TCP, ACK);
    host.serve(vip(TCP), &[Endpoint::v4(THERE, 31_000, TCP)]);
    assert_eq!(ask(&host, 4_000, TCP, ACK), Some(arrived), "a live one stays");
    ask(&host, 4_000, TCP, ACK | FIN);
    answer(&host, arrived, ACK | FIN);
    assert_eq!(ask(&host, 4_000, TCP, ACK), Some(arrived), "the last acknowledgement");
    assert_eq!(Address::of(&ask(&host, 4_000, TCP, SYN).unwrap().1), Address::v4(THERE));
}

#[test]
fn datagrams_leave_a_backend_that_is_gone_and_connections_do_not() {
    for (protocol, after) in [(TCP, HERE), (UDP, THERE)] {
        let mut host = host(protocol, &[HERE]);
        ask(&host, 4_000, protocol, SYN);
        host.serve(vip(protocol), &[Endpoint::v4(THERE, 31_000, protocol)]);
        host.now += 2;
        assert_eq!(Address::of(&ask(&host, 4_000, protocol, ACK).unwrap().1), Address::v4(after));
    }
}

#[test]
fn what_cannot_be_served_is_dropped_and_counted() {
    let mut host = host(TCP, &[]);
    let tcp = Built::new(client(1, TCP), vip(TCP), SYN);
    for (fragment, event) in [(0x2000, Event::FirstFragment), (7, Event::LaterFragment)] {
        let mut frame = Built { fragment, ..tcp.clone() }.frame();
        assert_eq!(host.run(&mut frame, Side::Ingress), Outcome::Drop);
        assert_eq!(host.counted(event), 1);
    }
    let mut short = tcp.frame();
    short.truncate(14 + 20 + 12);
    assert_eq!(host.run(&mut short, Side::Ingress), Outcome::Drop);
    assert_eq!(host.counted(Event::Malformed), 1);
    host.serve(vip(TCP), &[Endpoint::v4(HERE, 1, TCP)]);
    host.rules.most_new = 2;
    host.now += 1;
    assert!(ask(&host, 1, TCP, SYN).is_some() && ask(&host, 2, TCP, SYN).is_some());
    assert_eq!(ask(&host, 3, TCP, SYN), None);
    assert_eq!(host.counted(Event::Flood), 1);
    host.now += 1;
    assert!(ask(&host, 3, TCP, SYN).is_some());
}

#[test]
fn datagrams_beyond_the_limit_go_where_their_flows_would() {
    for (protocol, address) in [(UDP, HERE), (UDP, THERE), (TCP, HERE)] {
        let mut host = host(protocol, &[]);
        let backends: Vec<_> = (1..=5).map(|port| Endpoint::v4(address, port, protocol)).collect();
        host.serve(vip(protocol), &backends);
        let first: Vec<_> = (1..60).map(|port| ask(&host, port, protocol, SYN).unwrap()).collect();
        host.tracked.iter().chain(&host.index).flatten().for_each(|word| word.set(0));
        host.now += 1;
        host.rules.most_new = 20;
        for (port, first) in (1..60).zip(first) {
            let arrived = ask(&host, port, protocol, SYN);
            let is_sent = port <= 20 || (protocol, address) == (UDP, HERE);
            let wanted = is_sent.then_some(first.1);
            assert_eq!(arrived.map(|(_, backend)| backend), wanted, "{protocol} {port}");
        }
        assert_eq!(host.counted(Event::Opened), 59 + 20);
        assert_eq!(host.counted(Event::Flood), 39);
    }
}

#[test]
fn errors_are_told_to_who_sent_the_packet() {
    for (protocol, backend) in [(TCP, HERE), (UDP, HERE), (TCP, THERE), (UDP, THERE)] {
        let host = host(protocol, &[backend]);
        let (source, backend) = ask(&host, 4_000, protocol, SYN).unwrap();
        let is_here = Address::of(&backend) == Address::v4(HERE);
        // What the client sent, back at the client, in an error about what the backend got.
        let router = Endpoint::v4([10, 0, 0, 9], 0, protocol);
        let about = Built::new(source, backend, SYN).ip();
        let to = Endpoint::v6(source.address, 0, protocol);
        let mut error = Built::new(router, to, 0).error(3, &about);
        let side = if is_here { Side::Egress } else { Side::Ingress };
        assert_ne!(host.run(&mut error, side), Outcome::Drop);
        let Parsed::Complaint(told) = parse(&error[..]) else { panic!("{protocol}") };
        assert_eq!(told.ip.destination, Address::v4(CLIENT));
        assert_eq!(checksum(&error[14..34]), 0);
        assert_eq!(checksum(&error[34..]), 0, "checksum of ICMP");
        assert_eq!(error[14 + 28..], Built::new(client(4_000, protocol), vip(protocol), SYN).ip());
        // And what the backend sent, in an error from the client's side.
        let about = Built::new(vip(protocol), client(4_000, protocol), SYN | ACK).ip();
        let mut error =
            Built::new(router, Endpoint::v4(VIP, 0, protocol), 0).error(11, &about[..28]);
        assert_ne!(host.run(&mut error, Side::Ingress), Outcome::Drop);
        let Parsed::Complaint(told) = parse(&error[..]) else { panic!("{protocol}") };
        assert_eq!(told.ip.destination, Address::of(&backend));
        assert_eq!(checksum(&error[34..]), 0, "checksum of ICMP");
        let sent = Built::new(backend, source, SYN | ACK).ip();
        assert_eq!(error[14 + 28..], sent[..28]);
        assert_eq!(host.counted(Event::Error), 2);
    }
}

#[test]
#[cfg_attr(miri, ignore = "a hundred thousand packets take minutes")]
fn flood_of_first_packets_leaves_connections_alone() {
    let host = host(TCP, &[HERE]);
    let live: Vec<_> = (0..100u16)
        .filter_map(|port| {
            let arrived = ask(&host, port, TCP, SYN)?;
            answer(&host, arrived, SYN | ACK);
            ask(&host, port, TCP, ACK).map(|arrived| (port, arrived))
        })
        .collect();
    assert!(live.len() > 90, "{}", live.len());
    for n in 0..100_000u32 {
        let from = Endpoint::v4((0x6400_0000 + n / 3).to_be_bytes(), 5_000 + (n % 3) as u16, TCP);
        host.run(&mut Built::new(from, vip(TCP), SYN).frame(), Side::Ingress);
    }
    assert!(host.counted(Event::Displaced) > 50_000);
    let opened = host.counted(Event::Opened);
    for (port, arrived) in live {
        assert_eq!(ask(&host, port, TCP, ACK), Some(arrived));
        assert_eq!(answer(&host, arrived, ACK), (vip(TCP), client(port, TCP)));
    }
    assert_eq!(host.counted(Event::Opened), opened, "none of them began anew");
    // And new ones get through.
    assert!((200..220).any(|port| ask(&host, port, TCP, SYN).is_some()));
}

proptest! {
    /// Whatever packets come, and however backends change: a connection that lives stays where it is, and its
    /// answers come from the VIP.
    #[test]
    fn live_connection_never_changes_its_backend(
        steps in proptest::collection::vec((0u16..12, 0u8..6, 1u8..15), 1..200),
    ) {
        let mut host = host(TCP, &[HERE, THERE]);
        let mut live: HashMap<u16, (Endpoint, Endpoint)> = HashMap::new();
        for (port, step, set) in steps {
            match step {
                0 => {
                    let backends: Vec<_> = (0..4u8).filter(|n| set >> n & 1 != 0)
                        .map(|n| Endpoint::v4([10, 0, 0, 1 + n], 31_000, TCP)).collect();
                    host.serve(vip(TCP), &backends);
                }
                1 => host.now += u32::from(set),
                2 if let Some(arrived) = live.remove(&port) => {
                    ask(&host, port, TCP, FIN | ACK);
                    answer(&host, arrived, FIN | ACK);
                }
                _ => {
                    let flags = if live.contains_key(&port) { ACK } else { SYN };
                    let arrived = ask(&host, port, TCP, flags).unwrap();
                    prop_assert_eq!(*live.entry(port).or_insert(arrived), arrived);
                    let answered = answer(&host, arrived, SYN | ACK);
                    prop_assert_eq!(answered, (vip(TCP), client(port, TCP)));
                    prop_assert_eq!(ask(&host, port, TCP, ACK), Some(arrived));
                }
            }
        }
    }

    /// There and back again, a packet is what it was, but for its hops; whatever it looks like.
    #[test]
    fn answer_undoes_what_was_done(
        port: u16, tcp: bool, backend in prop_oneof![Just(HERE), Just(THERE)],
        tags in proptest::collection::vec(any::<u16>(), 0..3), options in 0usize..11,
        payload in proptest::collection::vec(any::<u8>(), 0..64), unsummed: bool,
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let host = host(protocol, &[backend]);
        let sent = Built {
            tags, options: vec![1; options * 4], payload, unsummed,
            ..Built::new(client(port, protocol), vip(protocol), SYN)
        };
        let mut frame = sent.frame();
        prop_assert_ne!(host.run(&mut frame, Side::Ingress), Outcome::Drop);
        let (source, to) = ends(&frame);
        let reply = Built { source: to, destination: source, ..sent.clone() };
        let mut frame = reply.frame();
        let side = if backend == HERE { Side::Egress } else { Side::Ingress };
        host.run(&mut frame, side);
        let hops = if backend == HERE { 64 } else { 63 };
        let wanted = Built { source: vip(protocol), destination: client(port, protocol), hops, ..sent };
        prop_assert_eq!(&frame[12..], &wanted.frame()[12..]);
    }

    /// Any bytes: what is not for a VIP is left as it is.
    #[test]
    fn other_packets_are_left_alone(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..3) {
        let host = host(TCP, &[HERE]);
        let mut frame = bytes;
        if kind > 0 && frame.len() > 14 {
            frame[12..14].copy_from_slice(if kind == 1 { &[8, 0] } else { &[0x86, 0xdd] });
            frame[14] = if kind == 1 { 0x45 } else { 0x60 };
        }
        let before = frame.clone();
        for side in [Side::Ingress, Side::Egress] {
            prop_assert_eq!(host.run(&mut frame, side), Outcome::Pass);
            prop_assert_eq!(&frame, &before);
        }
    }
}
