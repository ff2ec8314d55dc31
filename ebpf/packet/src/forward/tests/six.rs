//! Whole flows of IPv6.

use super::*;

const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const VIP6: [u8; 16] = [0xfd, 1, 0, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const HERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const THERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn host(protocol: u8, backend: [u8; 16]) -> Host {
    let mut host = Host::new(Forwarding { source6: HERE6, ..rules() });
    host.own(Address::new(HERE6));
    host.serve(vip6(protocol), &[Endpoint::v6(backend, 31_000, protocol)]);
    host
}

fn client6(port: u16, protocol: u8) -> Endpoint {
    Endpoint::v6(CLIENT6, port, protocol)
}

fn vip6(protocol: u8) -> Endpoint {
    Endpoint::v6(VIP6, 80, protocol)
}

/// A packet of a client's to the VIP.
fn asked(protocol: u8) -> Built {
    Built::new(client6(4_000, protocol), vip6(protocol), SYN)
}

/// What becomes of a packet that is to be let through; who it is from then, and to whom.
fn through(host: &Host, packet: &Built, side: Side) -> (Endpoint, Endpoint) {
    let mut frame = packet.frame();
    assert_ne!(host.run(&mut frame, side), Outcome::Drop);
    ends(&frame)
}

/// An extension header of some bytes, the first of which is its length.
fn extension(number: u8, bytes: usize) -> (u8, Vec<u8>) {
    let mut rest = vec![0; bytes - 1];
    rest[0] = u8::try_from(bytes / 8 - 1).unwrap();
    (number, rest)
}

/// A fragment header.
fn fragment(offset_and_more: u16) -> (u8, Vec<u8>) {
    let [high, low] = offset_and_more.to_be_bytes();
    (44, vec![0, high, low, 0, 0, 0, 9])
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const OPTIONS: u8 = 60;

#[test]
fn backends_here_see_the_client_and_others_this_machine() {
    for (protocol, backend) in [(TCP, HERE6), (UDP, HERE6), (TCP, THERE6), (UDP, THERE6)] {
        let host = host(protocol, backend);
        let is_here = backend == HERE6;
        let (source, to) = through(&host, &asked(protocol), Side::Ingress);
        assert_eq!(to, Endpoint::v6(backend, 31_000, protocol));
        if is_here {
            assert_eq!(source, client6(4_000, protocol));
        } else {
            assert_eq!(source.address, HERE6);
            assert!((FIRST_PORT..=LAST_PORT).contains(&source.port));
        }
        let side = if is_here { Side::Egress } else { Side::Ingress };
        let answered = through(&host, &Built::new(to, source, SYN | ACK), side);
        assert_eq!(answered, (vip6(protocol), client6(4_000, protocol)));
        assert_eq!(host.counted(Event::Opened), 1);
    }
}

#[test]
fn segments_are_found_behind_extension_headers() {
    let chains = [
        vec![extension(HOP_BY_HOP, 8)],
        vec![extension(ROUTING, 24)],
        vec![extension(OPTIONS, 40)],
        // A datagram that is its only fragment (RFC 6946).
        vec![fragment(0)],
        vec![extension(HOP_BY_HOP, 8), extension(OPTIONS, 8), extension(ROUTING, 8), fragment(0)],
        vec![extension(HOP_BY_HOP, 128)],
    ];
    for extensions in chains {
        for (protocol, backend) in [(TCP, HERE6), (UDP, THERE6)] {
            let host = host(protocol, backend);
            let packet = Built { extensions: extensions.clone(), ..asked(protocol) };
            let (_, to) = through(&host, &packet, Side::Ingress);
            assert_eq!(to, Endpoint::v6(backend, 31_000, protocol));
        }
    }
}

#[test]
fn what_cannot_be_looked_through_is_refused_if_it_is_to_a_vip() {
    let mut visiting = extension(ROUTING, 24);
    visiting.1[2] = 1;
    let cases = [
        (vec![fragment(1)], Event::FirstFragment),
        (vec![fragment(8)], Event::LaterFragment),
        // What follows was cut within the extension headers.
        (vec![fragment(8), extension(OPTIONS, 8)], Event::LaterFragment),
        (vec![extension(OPTIONS, 8); 5], Event::Malformed),
        (vec![extension(OPTIONS, 136)], Event::Malformed),
        (vec![extension(OPTIONS, 72), extension(OPTIONS, 64)], Event::Malformed),
        (vec![visiting], Event::Malformed),
    ];
    for (extensions, event) in cases {
        let host = host(TCP, HERE6);
        let packet = Built { extensions: extensions.clone(), ..asked(TCP) };
        assert_eq!(host.run(&mut packet.frame(), Side::Ingress), Outcome::Drop, "{extensions:?}");
        assert_eq!(host.counted(event), 1, "{extensions:?}");
        let other = Endpoint::v6(THERE6, 80, TCP);
        let packet = Built { destination: other, ..packet };
        let mut after = packet.frame();
        assert_eq!(host.run(&mut after, Side::Ingress), Outcome::Pass);
        assert_eq!(after, packet.frame());
    }
    let extensions = vec![extension(HOP_BY_HOP, 8), extension(OPTIONS, 16)];
    let whole = Built { extensions, ..asked(TCP) }.frame();
    for length in 54..whole.len() - 4 {
        let host = host(TCP, HERE6);
        assert_eq!(host.run(&mut whole[..length].to_vec(), Side::Ingress), Outcome::Drop);
        assert_eq!(host.counted(Event::Malformed), 1, "{length}");
    }
}

#[test]
fn errors_are_told_to_who_sent_the_packet() {
    let chains = [vec![], vec![extension(OPTIONS, 8)]];
    for (protocol, backend) in [(TCP, HERE6), (UDP, HERE6), (TCP, THERE6), (UDP, THERE6)] {
        for (extensions, kind) in chains.iter().zip([1, 2]) {
            let host = host(protocol, backend);
            let (source, to) = through(&host, &asked(protocol), Side::Ingress);
            let is_here = backend == HERE6;
            let router = Endpoint::v6([0xfd; 16], 0, protocol);
            let packet =
                |from, to| Built { extensions: extensions.clone(), ..Built::new(from, to, SYN) };
            let to_source = Endpoint::v6(source.address, 0, protocol);
            let mut error = packet(router, to_source).error(kind, &packet(source, to).ip());
            let side = if is_here { Side::Egress } else { Side::Ingress };
            assert_ne!(host.run(&mut error, side), Outcome::Drop);
            let about = packet(client6(4_000, protocol), vip6(protocol)).ip();
            check(&error, Address::new(CLIENT6), &about);
            // And what the backend sent, in an error from the client's side: as little of it as there may be.
            let kept = if extensions.is_empty() { 48 } else { 56 };
            let about = packet(vip6(protocol), client6(4_000, protocol)).ip();
            let to_vip = Endpoint::v6(VIP6, 0, protocol);
            let mut error = packet(router, to_vip).error(kind + 2, &about[..kept]);
            assert_ne!(host.run(&mut error, Side::Ingress), Outcome::Drop);
            check(&error, Address::new(backend), &packet(to, source).ip()[..kept]);
            assert_eq!(host.counted(Event::Error), 2);
        }
    }
}

/// That an error is to somebody, about something, and its checksum right.
fn check(error: &[u8], to: Address, about: &[u8]) {
    let Parsed::Complaint(told) = parse(error) else { panic!("{error:02x?}") };
    assert_eq!(told.ip.destination, to);
    assert_eq!(&error[told.about.at as usize..], about);
    let carried = &error[told.ip.payload as usize..];
    let mut summed = [told.ip.source, told.ip.destination].map(Address::bytes).concat();
    summed.extend(u32::try_from(carried.len()).unwrap().to_be_bytes());
    summed.extend([0, 58]);
    summed.extend(carried);
    assert_eq!(checksum(&summed), 0, "checksum of ICMPv6");
}

#[test]
fn neighbour_discovery_and_pings_go_on_as_they_are() {
    let host = host(TCP, HERE6);
    for to in [VIP6, HERE6] {
        for kind in [128, 129, 133, 134, 135, 136, 137] {
            let to = Endpoint::v6(to, 0, TCP);
            let frame = Built { hops: 255, ..Built::new(client6(0, TCP), to, 0) }
                .error(kind, &asked(TCP).ip());
            let mut after = frame.clone();
            assert_eq!(host.run(&mut after, Side::Ingress), Outcome::Pass);
            assert_eq!(after, frame);
        }
    }
}

#[test]
fn addresses_that_stand_for_others_of_ipv4_are_nobodys() {
    let host = super::host(TCP, &[HERE]);
    let mapped = |packet: Built| {
        // Of an IPv6 header, though both addresses are IPv4's.
        let mut frame = Built { source: client6(4_000, TCP), ..packet.clone() }.frame();
        frame[22..38].copy_from_slice(&packet.source.address);
        frame
    };
    let frame = mapped(Built::new(client(4_000, TCP), vip(TCP), SYN));
    let mut after = frame.clone();
    assert_eq!(host.run(&mut after, Side::Ingress), Outcome::Pass);
    assert_eq!(after, frame);
}

/// Which backends clients of a VIP get that has some of either family.
fn shares(others: u8, own: u16) -> Vec<u32> {
    let mut host = host(TCP, HERE6);
    let native = (0..own).map(|n| Endpoint::v6(HERE6, 31_000 + n, TCP));
    let others = (1..=others).map(|last| Endpoint::v4([10, 0, 1, last], 31_000, TCP));
    host.serve(vip6(TCP), &native.chain(others).collect::<Vec<_>>());
    let mut shares = vec![0; usize::from(own)];
    for port in 0..200 {
        let packet = Built::new(client6(port, TCP), vip6(TCP), SYN);
        let (_, to) = through(&host, &packet, Side::Ingress);
        assert_eq!(to.address, HERE6);
        shares[usize::from(to.port - 31_000)] += 1;
    }
    shares
}

#[test]
fn backends_of_the_other_family_are_passed_over() {
    assert_eq!(shares(1, 1), [200]);
    assert_eq!(shares(40, 1), [200]);
    for shares in [shares(2, 4), shares(40, 4)] {
        assert!(shares.iter().all(|share| (25..75).contains(share)), "{shares:?}");
    }
    let mut host = host(TCP, HERE6);
    host.serve(vip6(TCP), &[Endpoint::v4(HERE, 1, TCP), Endpoint::v4(THERE, 1, TCP)]);
    assert_eq!(host.run(&mut asked(TCP).frame(), Side::Ingress), Outcome::Answer);
    assert_eq!(host.counted(Event::NoBackend), 1);
}

proptest! {
    /// There and back again, a packet is what it was, but for its hops; whatever it looks like.
    #[test]
    fn answer_undoes_what_was_done(
        client: [u8; 16], port: u16, tcp: bool, backend in prop_oneof![Just(HERE6), Just(THERE6)],
        tags in proptest::collection::vec(any::<u16>(), 0..3),
        numbers in proptest::collection::vec(
            (prop_oneof![Just(HOP_BY_HOP), Just(ROUTING), Just(OPTIONS)], 1usize..5), 0..5,
        ),
        payload in proptest::collection::vec(any::<u8>(), 0..64), unsummed: bool,
    ) {
        prop_assume!(!Address::new(client).is_v4());
        let protocol = if tcp { TCP } else { UDP };
        let host = host(protocol, backend);
        let extensions = numbers.iter().map(|&(number, words)| extension(number, words * 8)).collect();
        let client = Endpoint::v6(client, port, protocol);
        let sent = Built { tags, extensions, unsummed, payload, ..Built::new(client, vip6(protocol), SYN) };
        let (mut frame, untouched) = (sent.frame(), sent.frame());
        let wanted = if backend == HERE6 { Outcome::Pass } else { Outcome::Transmit };
        prop_assert_eq!(host.run(&mut frame, Side::Ingress), wanted);
        prop_assert_ne!(&frame, &untouched);
        let (source, to) = ends(&frame);
        let reply = Built { source: to, destination: source, ..sent.clone() };
        let mut frame = reply.frame();
        let side = if backend == HERE6 { Side::Egress } else { Side::Ingress };
        host.run(&mut frame, side);
        let hops = if backend == HERE6 { 64 } else { 63 };
        let wanted = Built { source: vip6(protocol), destination: client, hops, ..sent };
        prop_assert_eq!(&frame[12..], &wanted.frame()[12..]);
    }

    /// As over IPv4: whatever packets come, and however backends change, a connection that lives stays where it is.
    #[test]
    fn live_connection_never_changes_its_backend(
        steps in proptest::collection::vec((0u16..12, 0u8..6, 1u8..4), 1..60),
    ) {
        let mut host = host(TCP, HERE6);
        let mut live: HashMap<u16, (Endpoint, Endpoint)> = HashMap::new();
        let ask = |host: &Host, port, flags| {
            through(host, &Built::new(client6(port, TCP), vip6(TCP), flags), Side::Ingress)
        };
        let answer = |host: &Host, (source, to): (Endpoint, Endpoint), flags| {
            let side = if to.address == HERE6 { Side::Egress } else { Side::Ingress };
            through(host, &Built::new(to, source, flags), side)
        };
        for (port, step, set) in steps {
            match step {
                0 => {
                    let backends = [HERE6, THERE6].into_iter().zip(0..);
                    let backends: Vec<_> = backends.filter(|(_, n)| set >> n & 1 != 0)
                        .map(|(address, _)| Endpoint::v6(address, 31_000, TCP)).collect();
                    host.serve(vip6(TCP), &backends);
                }
                1 => host.now += u32::from(set),
                2 if let Some(arrived) = live.remove(&port) => {
                    ask(&host, port, FIN | ACK);
                    answer(&host, arrived, FIN | ACK);
                }
                _ => {
                    let flags = if live.contains_key(&port) { ACK } else { SYN };
                    let arrived = ask(&host, port, flags);
                    prop_assert_eq!(*live.entry(port).or_insert(arrived), arrived);
                    let answered = answer(&host, arrived, SYN | ACK);
                    prop_assert_eq!(answered, (vip6(TCP), client6(port, TCP)));
                    prop_assert_eq!(ask(&host, port, ACK), arrived);
                }
            }
        }
    }

    /// Whatever extension headers there are, nothing is looked at beyond the bound.
    #[test]
    fn any_chain_of_headers_is_bounded(bytes in proptest::collection::vec(any::<u8>(), 40..600), number in 0u8..64) {
        let mut frame = asked(TCP).frame();
        frame.truncate(54);
        frame[20] = number;
        frame.extend(bytes);
        match parse(&frame[..]) {
            Parsed::Segment(Segment { ip, .. }) | Parsed::Fragment(ip, _) => prop_assert!(ip.payload <= 182),
            Parsed::Complaint(Complaint { about, .. }) => prop_assert!(about.payload + 20 <= FARTHEST6),
            _ => {}
        }
    }
}
