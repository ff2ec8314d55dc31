//! Answers of our own: the programs' and those in user space are the same, byte for byte.

use muster_packet::{ACK, Built, Endpoint, Event, FIN, Forwarding, Outcome, RST, SYN, TCP, UDP};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use super::{
    backend,
    bed::{Bed, CLIENT6, THERE, THERE6, VIP6},
    client, ends, vip,
};

const PROGRAMS: [&str; 2] = ["forward", "forward_tc"];

/// Packets of many kinds, of both families.
fn kinds(protocol: u8) -> Vec<Built> {
    let client6 = Endpoint::v6(CLIENT6, 4_000, protocol);
    let whole6 = |flags| Built::new(client6, Endpoint::v6(VIP6, 80, protocol), flags);
    let whole = |flags| Built::new(client(4_000, protocol), vip(protocol), flags);
    let mut kinds = vec![
        Built { tags: vec![7], ..whole6(SYN) },
        Built { tags: vec![7, 9], ..whole6(SYN) },
        Built { unsummed: true, ..whole6(SYN) },
        whole6(ACK),
        whole6(FIN | ACK),
        Built { tags: vec![7], ..whole(SYN) },
        Built { tags: vec![7, 9], ..whole(SYN) },
        Built { options: vec![1; 4], ..whole(SYN) },
        Built { options: vec![1; 40], tags: vec![7, 9], ..whole(SYN) },
        Built { unsummed: true, ..whole(SYN) },
        Built { fragment: 0, ..whole(SYN) },
        whole(ACK),
        whole(FIN | ACK),
        whole(SYN | ACK),
    ];
    for length in [0, 1, 2, 3, 7, 8, 511, 519, 520, 521, 975, 976, 977, 1_400] {
        let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        kinds.push(Built { payload: payload.clone(), ..whole(SYN) });
        kinds.push(Built { payload, ..whole6(SYN) });
    }
    kinds
}

#[test]
fn vip_that_nobody_serves() {
    let Some(mut bed) = Bed::new() else { return };
    for program in PROGRAMS {
        for protocol in [TCP, UDP] {
            bed.serve(vip(protocol), &[]);
            bed.serve(Endpoint::v6(VIP6, 80, protocol), &[]);
            for kind in kinds(protocol) {
                assert_eq!(bed.both(program, &kind.frame()).0, Outcome::Answer);
            }
            // As from a wire, which has no short frames.
            let mut padded = Built { payload: Vec::new(), ..kinds(protocol).remove(0) }.frame();
            padded.resize(padded.len() + 9, 0);
            assert_eq!(bed.both(program, &padded).0, Outcome::Answer);
            // There is no place for a reset in a packet with extension headers.
            let last = kinds(protocol).pop().unwrap();
            let extended = Built { extensions: vec![(60, vec![0; 7])], ..last };
            let wanted = if protocol == TCP { Outcome::Drop } else { Outcome::Answer };
            assert_eq!(bed.both(program, &extended.frame()).0, wanted);
        }
    }
    for event in [Event::NoBackend, Event::ToldReset, Event::ToldUnreachable] {
        assert_eq!(bed.counted(event), bed.host.counted(event), "{event:?}");
        assert!(bed.counted(event) >= 42, "{event:?}");
    }
}

#[test]
fn last_hop_and_what_is_too_big() {
    let Some(mut bed) = Bed::new() else { return };
    for program in PROGRAMS {
        for protocol in [TCP, UDP] {
            bed.serve(vip(protocol), &[backend(THERE, protocol)]);
            let vip6 = Endpoint::v6(VIP6, 80, protocol);
            bed.serve(vip6, &[Endpoint::v6(THERE6, 31_005, protocol)]);
            bed.narrow(u16::MAX);
            // Before there is a flow, and of one.
            for hops in [1, 0, 2, 1, 0] {
                // What ends a flow begins none, so it has no way to go.
                for kind in kinds(protocol).into_iter().filter(|kind| kind.flags & FIN == 0) {
                    let (outcome, asked) = bed.both(program, &Built { hops, ..kind }.frame());
                    assert_eq!(outcome == Outcome::Answer, hops < 2);
                    if outcome != Outcome::Transmit {
                        continue;
                    }
                    let (source, to) = ends(&asked);
                    let reply = Built { hops: 1, ..Built::new(to, source, ACK) };
                    assert_eq!(bed.both(program, &reply.frame()).0, Outcome::Answer);
                }
            }
            bed.narrow(1_280);
            let whole = Built::new(client(4_000, protocol), vip(protocol), SYN);
            for (length, fragment) in [(1_200, 0x4000), (1_252, 0x4000), (1_253, 0x4000)] {
                let ask = Built { payload: vec![7; length], fragment, ..whole.clone() };
                let carried = length + if protocol == TCP { 40 } else { 28 };
                let (outcome, _) = bed.both(program, &ask.frame());
                assert_eq!(outcome == Outcome::Answer, carried > 1_280, "{carried}");
                let source = Endpoint::v6(CLIENT6, 4_000, protocol);
                let ask = Built { source, destination: vip6, ..ask };
                let (outcome, _) = bed.both(program, &ask.frame());
                assert_eq!(outcome == Outcome::Answer, carried + 20 > 1_280, "{carried}");
            }
        }
    }
    for event in [Event::Hops, Event::TooBig, Event::ToldTooBig, Event::ToldExpired] {
        assert_eq!(bed.counted(event), bed.host.counted(event), "{event:?}");
        assert!(bed.counted(event) >= 6, "{event:?}");
    }
}

#[test]
fn what_is_too_big_and_may_be_fragmented() {
    let Some(mut bed) = Bed::new() else { return };
    for protocol in [TCP, UDP] {
        bed.serve(vip(protocol), &[backend(THERE, protocol)]);
        bed.narrow(1_280);
        let ask = Built::new(client(4_000, protocol), vip(protocol), SYN);
        let (_, asked) = bed.both("forward_tc", &ask.frame());
        let (source, to) = ends(&asked);
        let large = |packet| Built { payload: vec![7; 1_300], fragment: 0, ..packet };
        assert_eq!(bed.both("forward_tc", &large(ask).frame()).0, Outcome::Drop);
        let reply = large(Built::new(to, source, ACK)).frame();
        let (outcome, passed) = bed.both("forward_tc", &reply);
        assert_eq!(outcome, Outcome::Pass);
        assert_eq!(ends(&passed), (vip(protocol), client(4_000, protocol)));
        // XDP leaves it to the other.
        assert_eq!(bed.run("forward", &reply).1, reply);
    }
}

#[test]
fn who_is_not_answered() {
    let Some(mut bed) = Bed::new() else { return };
    let whole = Built::new(client(4_000, UDP), vip(UDP), 0);
    for protocol in [TCP, UDP] {
        bed.serve(vip(protocol), &[]);
    }
    for program in PROGRAMS {
        for source in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
            let sent = Built { source: Endpoint::v4(source, 1, UDP), ..whole.clone() };
            assert_eq!(bed.both(program, &sent.frame()).0, Outcome::Drop);
        }
        let mut frame = whole.frame();
        frame[..6].fill(0xff);
        assert_eq!(bed.both(program, &frame).0, Outcome::Drop);
        let mut frame = whole.frame();
        frame[14 + 4] ^= 1;
        assert_eq!(bed.both(program, &frame).0, Outcome::Drop);
        let mut frame = whole.frame();
        frame.pop();
        assert_eq!(bed.both(program, &frame).0, Outcome::Drop);
        let reset = Built::new(client(4_000, TCP), vip(TCP), RST);
        assert_eq!(bed.both(program, &reset.frame()).0, Outcome::Pass);
    }
    assert_eq!(bed.counted(Event::Malformed), 4);
}

#[test]
fn errors_are_few_at_a_time() {
    let Some(mut bed) = Bed::new() else { return };
    // Each processor has its own count of them.
    let mut one = CpuSet::new();
    one.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    bed.rule(Forwarding { error_interval_ns: u32::MAX, error_burst: 3, ..bed.host.rules });
    bed.serve(vip(UDP), &[]);
    let frame = Built::new(client(4_000, UDP), vip(UDP), 0).frame();
    for _ in 0..100 {
        bed.run("forward", &frame);
    }
    let told = bed.counted(Event::ToldUnreachable);
    assert!((3..50).contains(&told), "{told}");
    assert_eq!(told + bed.counted(Event::Untold), 100);
    assert_eq!(bed.counted(Event::NoBackend), 100);
}
