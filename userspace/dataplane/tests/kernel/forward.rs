//! The forwarded path's programs in the kernel, run on packets by `BPF_PROG_TEST_RUN`, beside the same decisions
//! in user space: they come out byte for byte equal.

pub(crate) mod bed;
mod counts;
mod flood;
mod guard;
mod six;
mod told;

use bed::{Bed, CLIENT, HERE, THERE, VIP};
use muster_packet::{ACK, Built, Endpoint, Event, FIN, Outcome, Parsed, RST, SYN, TCP, UDP, parse};

fn client(port: u16, protocol: u8) -> Endpoint {
    Endpoint::v4(CLIENT, port, protocol)
}

fn vip(protocol: u8) -> Endpoint {
    Endpoint::v4(VIP, 80, protocol)
}

fn backend(address: [u8; 4], protocol: u8) -> Endpoint {
    Endpoint::v4(address, 31_005, protocol)
}

/// Where a packet is from and where it is going.
fn ends(frame: &[u8]) -> (Endpoint, Endpoint) {
    let Parsed::Segment(segment) = parse(frame) else { panic!("{frame:02x?}") };
    let tuple = segment.tuple;
    let source = tuple.source.endpoint(tuple.source_port, tuple.protocol);
    let destination = tuple.destination.endpoint(tuple.destination_port, tuple.protocol);
    (source, destination)
}

/// The packets of a conversation that looks one way or another.
fn looks() -> Vec<fn(Built) -> Built> {
    vec![
        |packet| packet,
        |packet| Built { tags: vec![7], ..packet },
        |packet| Built { tags: vec![7, 9], ..packet },
        |packet| Built { options: vec![1; 4], ..packet },
        |packet| Built { options: vec![1; 40], tags: vec![3], ..packet },
        |packet| Built { payload: Vec::new(), ..packet },
        |packet| Built { payload: vec![0xff; 1_001], ..packet },
        |packet| Built { unsummed: true, ..packet },
        |packet| Built { hops: 2, ..packet },
        |packet| Built { fragment: 0, ..packet },
    ]
}

#[test]
fn conversation_with_a_backend_here_or_elsewhere() {
    let Some(mut bed) = Bed::new() else { return };
    for program in ["forward", "forward_tc"] {
        for protocol in [TCP, UDP] {
            for address in [HERE, THERE] {
                bed.serve(vip(protocol), &[backend(address, protocol)]);
                for look in looks() {
                    let port = u16::try_from(bed.counted(Event::Opened)).unwrap() + 1_000;
                    let ask =
                        |flags| look(Built::new(client(port, protocol), vip(protocol), flags));
                    let (outcome, asked) = bed.both(program, &ask(SYN).frame());
                    let is_here = address == HERE;
                    let wanted = if is_here { Outcome::Pass } else { Outcome::Transmit };
                    assert_eq!(outcome, wanted);
                    let (source, to) = ends(&asked);
                    assert_eq!(to, backend(address, protocol));
                    assert_eq!(source == client(port, protocol), is_here);
                    let reply = |flags| look(Built::new(to, source, flags));
                    let back = if is_here { "reply" } else { program };
                    for flags in [SYN | ACK, ACK, ACK | FIN] {
                        let (_, answered) = bed.both(back, &reply(flags).frame());
                        assert_eq!(ends(&answered), (vip(protocol), client(port, protocol)));
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
        assert!(bed.counted(event) >= 40, "{event:?}");
    }
}

#[test]
fn clients_have_the_backends_that_the_maglev_table_names() {
    let Some(mut bed) = Bed::new() else { return };
    let backends: Vec<_> = (1..=9).map(|port| Endpoint::v4(HERE, port, TCP)).collect();
    bed.serve(vip(TCP), &backends);
    let mut clients = [0; 9];
    for port in 1_000..1_450 {
        let ask = Built::new(client(port, TCP), vip(TCP), SYN);
        let (_, asked) = bed.both("forward", &ask.frame());
        clients[usize::from(ends(&asked).1.port) - 1] += 1;
    }
    assert!(clients.iter().all(|count| (25..=75).contains(count)), "{clients:?}");
}

#[test]
fn errors_about_a_flow() {
    let Some(mut bed) = Bed::new() else { return };
    for program in ["forward", "forward_tc"] {
        for protocol in [TCP, UDP] {
            for (address, port) in [(HERE, 700), (THERE, 701)] {
                bed.serve(vip(protocol), &[backend(address, protocol)]);
                let ask = Built::new(client(port, protocol), vip(protocol), SYN);
                let (_, asked) = bed.both(program, &ask.frame());
                let (source, to) = ends(&asked);
                for router in [[10, 77, 0, 9], address] {
                    let router = Endpoint::v4(router, 0, protocol);
                    for kept in [28, 60] {
                        let about = Built::new(source, to, SYN).ip();
                        let about = &about[..kept.min(about.len())];
                        let to_source = Endpoint::v6(source.address, 0, protocol);
                        let back = if address == HERE { "reply" } else { program };
                        let error = Built::new(router, to_source, 0).error(3, about);
                        let (_, told) = bed.both(back, &error);
                        assert_ne!(told, error, "{back}");
                        let about = Built::new(vip(protocol), client(port, protocol), ACK).ip();
                        let about = &about[..kept.min(about.len())];
                        let to_vip = Endpoint::v4(VIP, 0, protocol);
                        let error = Built::new(router, to_vip, 0).error(11, about);
                        let (_, told) = bed.both(program, &error);
                        assert_ne!(told, error, "{program}");
                    }
                }
            }
        }
    }
    assert_eq!(bed.counted(Event::Error), 64);
}

#[test]
fn packets_that_are_not_forwarded() {
    let Some(mut bed) = Bed::new() else { return };
    let whole = Built::new(client(1, TCP), vip(TCP), SYN);
    let other = Built::new(client(1, TCP), Endpoint::v4([11, 0, 0, 2], 80, TCP), SYN);
    let icmp = Built::new(client(1, TCP), Endpoint::v4(VIP, 0, TCP), 0).error(8, &[0; 16]);
    for program in ["forward", "forward_tc"] {
        bed.serve(vip(TCP), &[backend(THERE, TCP)]);
        for fragment in [0x2000, 7, 0x2007] {
            let frame = Built { fragment, ..whole.clone() }.frame();
            assert_eq!(bed.both(program, &frame).0, Outcome::Drop);
        }
        // At tc the kernel gives programs no packet without an IP header.
        let least = if program == "forward" { 15 } else { 14 + 20 };
        for kept in least..14 + 20 + 20 {
            let mut frame = whole.frame();
            frame.truncate(kept);
            let outcome = bed.both(program, &frame).0;
            assert_eq!(outcome == Outcome::Drop, kept >= 14 + 20, "{kept}");
        }
        for frame in [Built { flags: RST, ..whole.clone() }.frame(), other.frame(), icmp.clone()] {
            let (outcome, after) = bed.both(program, &frame);
            assert_eq!((outcome, after), (Outcome::Pass, frame));
        }
    }
    for event in [Event::FirstFragment, Event::LaterFragment, Event::Malformed] {
        assert_eq!(bed.counted(event), bed.host.counted(event), "{event:?}");
        assert!(bed.counted(event) >= 2, "{event:?}");
    }
}
