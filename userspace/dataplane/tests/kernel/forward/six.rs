//! The same with packets of IPv6.

use super::{
    bed::{Bed, CLIENT6, HERE6, ROUTER6, THERE6, VIP6},
    *,
};

fn client6(port: u16, protocol: u8) -> Endpoint {
    Endpoint::v6(CLIENT6, port, protocol)
}

fn vip6(protocol: u8) -> Endpoint {
    Endpoint::v6(VIP6, 80, protocol)
}

fn backend6(address: [u8; 16], protocol: u8) -> Endpoint {
    Endpoint::v6(address, 31_005, protocol)
}

/// An extension header of some bytes.
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

/// The packets of a conversation that looks one way or another.
fn looks() -> Vec<fn(Built) -> Built> {
    vec![
        |packet| packet,
        |packet| Built { tags: vec![7], ..packet },
        |packet| Built { tags: vec![7, 9], ..packet },
        |packet| Built { payload: Vec::new(), ..packet },
        |packet| Built { payload: vec![0xff; 1_001], ..packet },
        |packet| Built { unsummed: true, ..packet },
        |packet| Built { hops: 2, ..packet },
        |packet| Built { extensions: vec![extension(HOP_BY_HOP, 8)], ..packet },
        |packet| Built { extensions: vec![extension(ROUTING, 24)], ..packet },
        |packet| Built { extensions: vec![fragment(0)], ..packet },
        |packet| Built { extensions: vec![extension(OPTIONS, 128)], tags: vec![3, 4], ..packet },
        |packet| {
            let first = [extension(HOP_BY_HOP, 8), extension(OPTIONS, 16)];
            let extensions = first.into_iter().chain([extension(ROUTING, 8), fragment(0)]);
            Built { extensions: extensions.collect(), ..packet }
        },
    ]
}

#[test]
fn conversation_over_ipv6_with_a_backend_here_or_elsewhere() {
    let Some(mut bed) = Bed::new() else { return };
    for program in ["forward", "forward_tc"] {
        for protocol in [TCP, UDP] {
            for address in [HERE6, THERE6] {
                bed.serve(vip6(protocol), &[backend6(address, protocol)]);
                for look in looks() {
                    let port = u16::try_from(bed.counted(Event::Opened)).unwrap() + 1_000;
                    let ask =
                        |flags| look(Built::new(client6(port, protocol), vip6(protocol), flags));
                    let (outcome, asked) = bed.both(program, &ask(SYN).frame());
                    let is_here = address == HERE6;
                    let wanted = if is_here { Outcome::Pass } else { Outcome::Transmit };
                    assert_eq!(outcome, wanted, "{program} {:02x?}", ask(SYN).frame());
                    let (source, to) = ends(&asked);
                    assert_eq!(to, backend6(address, protocol));
                    assert_eq!(source == client6(port, protocol), is_here);
                    let reply = |flags| look(Built::new(to, source, flags));
                    let back = if is_here { "reply" } else { program };
                    for flags in [SYN | ACK, ACK, ACK | FIN] {
                        let (_, answered) = bed.both(back, &reply(flags).frame());
                        assert_eq!(ends(&answered), (vip6(protocol), client6(port, protocol)));
                        let (_, asked) = bed.both(program, &ask(flags & !SYN).frame());
                        assert_eq!(ends(&asked), (source, to));
                    }
                    bed.both(program, &ask(RST).frame());
                }
            }
        }
    }
    for event in [Event::Opened, Event::Local, Event::Remote, Event::LocalReply, Event::RemoteReply]
    {
        assert_eq!(bed.counted(event), bed.host.counted(event), "{event:?}");
        assert!(bed.counted(event) >= 48, "{event:?}");
    }
}

#[test]
fn icmpv6_errors_about_a_flow() {
    let Some(mut bed) = Bed::new() else { return };
    let chains = [vec![], vec![extension(OPTIONS, 16), extension(ROUTING, 8)]];
    let mut errors = 0;
    for program in ["forward", "forward_tc"] {
        for protocol in [TCP, UDP] {
            for (address, port) in [(HERE6, 700), (THERE6, 701)] {
                bed.serve(vip6(protocol), &[backend6(address, protocol)]);
                let ask = Built::new(client6(port, protocol), vip6(protocol), SYN);
                let (_, asked) = bed.both(program, &ask.frame());
                let (source, to) = ends(&asked);
                let cases = [ROUTER6, address].into_iter().flat_map(|router| {
                    chains.iter().flat_map(move |chain| [48, 60].map(|kept| (router, chain, kept)))
                });
                for (kind, (router, chain, kept)) in (0_u8..).zip(cases) {
                    let packet = |from, to, flags| Built {
                        extensions: chain.clone(),
                        ..Built::new(from, to, flags)
                    };
                    let kept = kept + chain.len() * 12;
                    let router = Endpoint::v6(router, 0, protocol);
                    let about = packet(source, to, SYN).ip();
                    let about = &about[..kept.min(about.len())];
                    let to_source = Endpoint::v6(source.address, 0, protocol);
                    let back = if address == HERE6 { "reply" } else { program };
                    let error = packet(router, to_source, 0).error(kind % 4 + 1, about);
                    let (_, told) = bed.both(back, &error);
                    assert_ne!(told, error, "{back}");
                    let about = packet(vip6(protocol), client6(port, protocol), ACK).ip();
                    let about = &about[..kept.min(about.len())];
                    let to_vip = Endpoint::v6(VIP6, 0, protocol);
                    let error = packet(router, to_vip, 0).error(kind % 4 + 1, about);
                    let (_, told) = bed.both(program, &error);
                    assert_ne!(told, error, "{program}");
                    errors += 2;
                }
            }
        }
    }
    assert_eq!((bed.counted(Event::Error), errors), (128, 128));
}

#[test]
fn packets_of_ipv6_that_are_not_forwarded() {
    let Some(mut bed) = Bed::new() else { return };
    let whole = Built::new(client6(1, TCP), vip6(TCP), SYN);
    let other = Endpoint::v6(CLIENT6, 80, TCP);
    let mut visiting = extension(ROUTING, 24);
    visiting.1[2] = 1;
    for program in ["forward", "forward_tc"] {
        bed.serve(vip6(TCP), &[backend6(THERE6, TCP)]);
        for extensions in [
            vec![fragment(1)],
            vec![fragment(8)],
            vec![fragment(8), extension(OPTIONS, 8)],
            vec![extension(OPTIONS, 8), fragment(9)],
            vec![extension(OPTIONS, 8); 5],
            vec![extension(OPTIONS, 136)],
            vec![extension(HOP_BY_HOP, 1_024)],
            vec![visiting.clone()],
        ] {
            let packet = Built { extensions, ..whole.clone() };
            assert_eq!(bed.both(program, &packet.frame()).0, Outcome::Drop, "{packet:?}");
            let packet = Built { destination: other, ..packet };
            let (outcome, after) = bed.both(program, &packet.frame());
            assert_eq!((outcome, after), (Outcome::Pass, packet.frame()));
        }
        let extensions = vec![extension(OPTIONS, 8), extension(ROUTING, 16)];
        let long = Built { extensions, ..whole.clone() };
        for (frame, fixed) in [(whole.frame(), 14 + 40), (long.frame(), 14 + 40)] {
            // At tc the kernel gives programs no packet without an IP header.
            let least = if program == "forward" { 15 } else { fixed };
            for kept in least..frame.len() - 4 {
                let outcome = bed.both(program, &frame[..kept]).0;
                assert_eq!(outcome == Outcome::Drop, kept >= fixed, "{kept}");
            }
        }
        let discovery = [133, 134, 135, 136, 137].map(|kind| {
            let to = Endpoint::v6(HERE6, 0, TCP);
            let message = Built { hops: 255, ..Built::new(client6(0, TCP), to, 0) };
            message.error(kind, &[0; 24])
        });
        let to_vip = Built::new(client6(0, TCP), Endpoint::v6(VIP6, 0, TCP), 0);
        for frame in [
            Built { flags: RST, ..whole.clone() }.frame(),
            Built { destination: other, ..whole.clone() }.frame(),
            to_vip.error(128, &[0; 16]),
            to_vip.error(135, &[0; 24]),
        ]
        .into_iter()
        .chain(discovery)
        {
            let (outcome, after) = bed.both(program, &frame);
            assert_eq!((outcome, after), (Outcome::Pass, frame));
        }
    }
    for event in [Event::FirstFragment, Event::LaterFragment, Event::Malformed] {
        assert_eq!(bed.counted(event), bed.host.counted(event), "{event:?}");
        assert!(bed.counted(event) >= 2, "{event:?}");
    }
}

#[test]
fn backends_of_the_other_family_are_passed_over() {
    let Some(mut bed) = Bed::new() else { return };
    for (own, others) in [(1, 1), (3, 3), (2, 60)] {
        let own = (0..own).map(|n| Endpoint::v6(HERE6, 31_000 + n, TCP));
        let others = (1..=others).map(|last| Endpoint::v4([10, 77, 1, last], 31_000, TCP));
        bed.serve(vip6(TCP), &own.chain(others).collect::<Vec<_>>());
        for port in 1_000..1_100 {
            let ask = Built::new(client6(port, TCP), vip6(TCP), SYN);
            let (_, asked) = bed.both("forward", &ask.frame());
            assert_eq!(ends(&asked).1.address, HERE6);
            bed.both("forward", &Built { flags: RST, ..ask }.frame());
        }
    }
    bed.serve(vip6(TCP), &[backend(HERE, TCP), backend(THERE, TCP)]);
    let ask = Built::new(client6(999, TCP), vip6(TCP), SYN);
    assert_eq!(bed.both("forward", &ask.frame()).0, Outcome::Answer);
    assert_eq!(bed.counted(Event::NoBackend), 1);
}
