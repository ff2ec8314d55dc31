//! Answers of our own, in user space.

extern crate std;

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Address, Endpoint, TCP, UDP};

const CLIENT: [u8; 4] = [192, 0, 2, 7];
const VIP: [u8; 4] = [11, 0, 0, 1];
const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 0, 0, 2];

const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const VIP6: [u8; 16] = [0xfd, 1, 0, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const HERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const THERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A machine whose VIPs have no backends, or one elsewhere.
fn host(backends: &[Endpoint]) -> Host {
    let rules = Forwarding::new(Some(HERE), Some(HERE6), 42);
    let mut host = Host::new(Forwarding { tracked: 256, buckets: 128, ..rules });
    for protocol in [TCP, UDP] {
        host.serve(Endpoint::v4(VIP, 80, protocol), backends);
        host.serve(Endpoint::v6(VIP6, 80, protocol), backends);
    }
    host
}

fn from_client6(protocol: u8, flags: u8) -> Built {
    let client = Endpoint::v6(CLIENT6, 4_000, protocol);
    Built::new(client, Endpoint::v6(VIP6, 80, protocol), flags)
}

/// What IPv6's checksums are over.
fn summed6(frame: &[u8], ip: &Ip, protocol: u8) -> Vec<u8> {
    let (at, payload) = (ip.at as usize, ip.payload as usize);
    let length = u32::try_from(frame.len() - payload).unwrap().to_be_bytes();
    [&frame[at + 8..at + 40], &length, &[0, 0, 0, protocol], &frame[payload..]].concat()
}

/// The same as [`error`], in IPv6.
fn error6(frame: &[u8]) -> ([u8; 16], u8, u8, u32, &[u8]) {
    let Parsed::Complaint(complaint) = parse(frame) else { panic!("{frame:02x?}") };
    let icmp = complaint.ip.payload as usize;
    assert_eq!(complaint.ip.destination, Address::new(CLIENT6));
    assert_eq!(complaint.ip.end as usize, frame.len());
    assert_eq!(checksum(&summed6(frame, &complaint.ip, 58)), 0);
    let number = u32::from_be_bytes(frame[icmp + 4..icmp + 8].try_into().unwrap());
    let source = complaint.ip.source.bytes();
    (source, frame[icmp], frame[icmp + 1], number, &frame[icmp + 8..])
}

fn from_client(protocol: u8, flags: u8) -> Built {
    let client = Endpoint::v4(CLIENT, 4_000, protocol);
    Built::new(client, Endpoint::v4(VIP, 80, protocol), flags)
}

/// What comes back.
fn answer_to(host: &Host, frame: &[u8]) -> Option<Vec<u8>> {
    let mut frame = frame.to_vec();
    (host.run(&mut frame, Side::Ingress) == Outcome::Answer).then_some(frame)
}

/// Sequence, acknowledgement, flags of a reset from the VIP to the client.
fn reset(frame: &[u8]) -> (u32, u32, u8) {
    let segment = parse_segment(frame).unwrap();
    let (at, tcp) = (segment.ip.at as usize, segment.ip.payload as usize);
    assert_eq!(segment.tuple.vip(), Endpoint::v4(CLIENT, 4_000, TCP));
    assert_eq!(segment.tuple.reversed().vip(), Endpoint::v4(VIP, 80, TCP));
    assert_eq!((segment.ip.end as usize, frame.len()), (tcp + 20, tcp + 20));
    assert_eq!(checksum(&frame[at..tcp]), 0);
    let pseudo = [&frame[at + 12..at + 20], &[0, TCP, 0, 20], &frame[tcp..]].concat();
    assert_eq!(checksum(&pseudo), 0);
    let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
    (number(tcp + 4), number(tcp + 8), segment.flags)
}

/// Who sends an ICMP error to the client; its type, code, number, and what it is about.
fn error(frame: &[u8]) -> ([u8; 4], u8, u8, u32, &[u8]) {
    let Parsed::Complaint(complaint) = parse(frame) else { panic!("{frame:02x?}") };
    let (at, icmp) = (complaint.ip.at as usize, complaint.ip.payload as usize);
    assert_eq!(complaint.ip.destination, Address::v4(CLIENT));
    assert_eq!((icmp, complaint.ip.end as usize), (at + 20, frame.len()));
    assert_eq!(checksum(&frame[at..icmp]), 0);
    assert_eq!(checksum(&frame[icmp..]), 0);
    let number = u32::from_be_bytes(frame[icmp + 4..icmp + 8].try_into().unwrap());
    let source = complaint.ip.source.last();
    (source, frame[icmp], frame[icmp + 1], number, &frame[icmp + 8..])
}

#[test]
fn connection_that_nobody_serves_is_reset() {
    let host = host(&[]);
    // All of them have the sequence number 7, and acknowledge 9.
    for (flags, carried, wanted) in [
        (SYN, 0, (0, 8, RST | ACK)),
        (SYN, 5, (0, 13, RST | ACK)),
        (SYN | ACK, 0, (9, 0, RST)),
        (ACK, 1_400, (9, 0, RST)),
        (FIN | ACK, 0, (9, 0, RST)),
        (FIN, 1, (0, 9, RST | ACK)),
    ] {
        let sent = Built { payload: vec![7; carried], ..from_client(TCP, flags) };
        assert_eq!(reset(&answer_to(&host, &sent.frame()).unwrap()), wanted, "{flags}");
    }
    assert_eq!(host.counted(Event::NoBackend), 6);
    assert_eq!(host.counted(Event::ToldReset), 6);
}

#[test]
fn datagram_that_nobody_serves_finds_its_port_unreachable() {
    let host = host(&[]);
    for carried in [0, 1, 4, 520, 521, 1_400] {
        let sent = Built { payload: vec![7; carried], ..from_client(UDP, 0) };
        let answer = answer_to(&host, &sent.frame()).unwrap();
        let about = sent.ip();
        assert_eq!(error(&answer), (VIP, 3, 3, 0, &about[..about.len().min(548)]));
    }
    assert_eq!(host.counted(Event::ToldUnreachable), 6);
}

#[test]
fn last_hop_and_what_is_too_big_are_told() {
    let mut host = host(&[Endpoint::v4(THERE, 31_000, TCP)]);
    let sent = Built { hops: 1, ..from_client(TCP, SYN) };
    let answer = answer_to(&host, &sent.frame()).unwrap();
    assert_eq!(error(&answer), (HERE, 11, 0, 0, &sent.ip()[..]));
    host.mtu = 1_280;
    let fits = Built { payload: vec![7; 1_240], ..from_client(TCP, SYN) };
    assert_eq!(answer_to(&host, &fits.frame()), None);
    let sent = Built { payload: vec![7; 1_241], ..fits };
    let answer = answer_to(&host, &sent.frame()).unwrap();
    assert_eq!(error(&answer), (VIP, 3, 4, 1_280, &sent.ip()[..548]));
    // Nobody may be told of what may be fragmented; and this machine can only let the kernel do that with answers.
    let mut frame = Built { fragment: 0, ..sent }.frame();
    assert_eq!(host.run(&mut frame, Side::Ingress), Outcome::Drop);
    let asked = Built { hops: 9, ..from_client(TCP, ACK) };
    let mut frame = asked.frame();
    assert_eq!(host.run(&mut frame, Side::Ingress), Outcome::Transmit);
    let Tuple { source, source_port, .. } = parse_segment(&frame[..]).unwrap().tuple;
    let node = source.endpoint(source_port, TCP);
    let reply = Built::new(Endpoint::v4(THERE, 31_000, TCP), node, ACK);
    let reply = Built { payload: vec![7; 1_300], ..reply };
    let mut frame = Built { fragment: 0, hops: 9, ..reply.clone() }.frame();
    assert_eq!(host.run(&mut frame, Side::Ingress), Outcome::Pass);
    let passed = parse_segment(&frame[..]).unwrap();
    assert_eq!((passed.tuple.destination, passed.ip.hops), (Address::v4(CLIENT), 9));
    let mut frame = reply.frame();
    assert_eq!(host.run(&mut frame, Side::Ingress), Outcome::Answer);
    let Parsed::Complaint(complaint) = parse(&frame[..]) else { panic!() };
    assert_eq!(complaint.ip.source, Address::v4(HERE));
    assert_eq!(complaint.ip.destination, Address::v4(THERE));
    for (event, count) in [(Event::TooBig, 4), (Event::ToldTooBig, 2), (Event::ToldExpired, 1)] {
        assert_eq!(host.counted(event), count, "{event:?}");
    }
}

#[test]
fn the_same_is_told_over_ipv6() {
    let mut host = host(&[]);
    let sent = Built { payload: vec![7; 5], ..from_client6(TCP, SYN) };
    let answer = answer_to(&host, &sent.frame()).unwrap();
    let segment = parse_segment6(&answer[..]).unwrap();
    assert_eq!((segment.flags, segment.ip.payload, answer.len()), (RST | ACK, 54, 74));
    assert_eq!(segment.tuple.vip(), Endpoint::v6(CLIENT6, 4_000, TCP));
    assert_eq!(segment.tuple.reversed().vip(), Endpoint::v6(VIP6, 80, TCP));
    assert_eq!(answer[58..66], [0, 0, 0, 0, 0, 0, 0, 13]);
    assert_eq!(checksum(&summed6(&answer, &segment.ip, TCP)), 0);
    for carried in [0, 1, 975, 976, 977, 1_400] {
        let sent = Built { payload: vec![7; carried], ..from_client6(UDP, 0) };
        let answer = answer_to(&host, &sent.frame()).unwrap();
        let about = sent.ip();
        assert_eq!(error6(&answer), (VIP6, 1, 4, 0, &about[..about.len().min(1_024)]));
    }
    host = self::host(&[Endpoint::v6(THERE6, 31_000, TCP)]);
    let sent = Built { hops: 1, ..from_client6(TCP, SYN) };
    let answer = answer_to(&host, &sent.frame()).unwrap();
    assert_eq!(error6(&answer), (HERE6, 3, 0, 0, &sent.ip()[..]));
    host.mtu = 1_280;
    let sent = Built { payload: vec![7; 1_221], ..from_client6(TCP, SYN) };
    let answer = answer_to(&host, &sent.frame()).unwrap();
    assert_eq!(error6(&answer), (VIP6, 2, 0, 1_280, &sent.ip()[..1_024]));
    // Nobody, this machine, and many.
    for source in [0, 1, 0xff << 120].map(u128::to_be_bytes) {
        let source = Endpoint::v6(source, 4_000, TCP);
        let sent = Built { source, hops: 1, ..from_client6(TCP, SYN) };
        assert_eq!(answer_to(&host, &sent.frame()), None);
    }
}

#[test]
fn some_are_never_answered() {
    let host = host(&[]);
    let silent = |frame: Vec<u8>| {
        assert_eq!(answer_to(&host, &frame), None, "{frame:02x?}");
    };
    silent(from_client(TCP, RST).frame());
    silent(from_client(TCP, RST | ACK).frame());
    for fragment in [0x2000, 7] {
        silent(Built { fragment, ..from_client(UDP, 0) }.frame());
    }
    for protocol in [TCP, UDP] {
        let sent = from_client(protocol, SYN);
        for source in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
            let source = Endpoint::v4(source, 4_000, protocol);
            silent(Built { source, ..sent.clone() }.frame());
        }
        // To all machines of the link.
        let mut frame = sent.frame();
        frame[..6].fill(0xff);
        silent(frame);
        // Cut off, and changed on the way.
        let mut frame = sent.frame();
        frame.pop();
        silent(frame);
        let mut frame = sent.frame();
        frame[14 + 4] ^= 1;
        silent(frame);
    }
    assert_eq!(host.counted(Event::Malformed), 4);
    // An error is none of a flow's.
    let about = from_client(UDP, 0).ip();
    silent(from_client(UDP, 0).error(3, &about));
}

#[test]
fn errors_are_few_at_a_time() {
    let mut host = host(&[]);
    host.rules.error_interval_ns = 1 << 30;
    host.rules.error_burst = 3;
    let told = |host: &Host| {
        (0..10).filter(|_| answer_to(host, &from_client(UDP, 0).frame()).is_some()).count()
    };
    assert_eq!(told(&host), 3);
    assert_eq!(host.counted(Event::Untold), 7);
    host.now += 1;
    assert_eq!(told(&host), 1);
    host.now += 100;
    assert_eq!(told(&host), 3);
    // Resets are no errors.
    assert!((0..10).all(|_| answer_to(&host, &from_client(TCP, SYN).frame()).is_some()));
}

proptest! {
    /// Whatever it looks like, the answer to it goes back the way it came, about all of it that fits.
    #[test]
    fn answer_goes_back(
        tcp: bool, tags in proptest::collection::vec(any::<u16>(), 0..3), options in 0usize..11,
        payload in proptest::collection::vec(any::<u8>(), 0..700), unsummed: bool, padding in 0usize..20,
    ) {
        let protocol = if tcp { TCP } else { UDP };
        let sent = Built {
            tags: tags.clone(), options: vec![1; options * 4], payload, unsummed,
            ..from_client(protocol, SYN)
        };
        let mut frame = sent.frame();
        frame.resize(frame.len() + padding, 0);
        let answer = answer_to(&host(&[]), &frame).unwrap();
        prop_assert_eq!(&answer[..6], &frame[6..12]);
        prop_assert_eq!(&answer[6..12], &frame[..6]);
        let at = 14 + tags.len() * 4;
        prop_assert_eq!(&answer[12..at], &frame[12..at]);
        if tcp {
            reset(&answer);
        } else {
            let about = sent.ip();
            prop_assert_eq!(error(&answer).4, &about[..about.len().min(548)]);
        }
    }

    /// Over any time no more is paid for than there may be at once, and one for each interval.
    #[test]
    fn bucket_never_gives_more_than_it_has(
        steps in proptest::collection::vec(0u64..5_000, 1..300), interval in 1u32..3_000, most in 1u32..20,
    ) {
        let (mut paid, mut now, mut count) = (0, 1_000_000u64, 0u64);
        let begin = now;
        for step in steps {
            now += step;
            if let Some(next) = pay(paid, now, interval, most) {
                paid = next;
                count += 1;
            }
            prop_assert!(count <= u64::from(most) + (now - begin) / u64::from(interval));
        }
        prop_assert!(count > 0);
        prop_assert!(pay(paid, now + u64::from(interval), interval, most).is_some());
    }
}
