//! A frame, as it arrives at a machine that forwards to VIPs, or leaves it.

use muster_packet::{
    Address, Built, Endpoint, Forwarding, Host, Ip, Outcome, Parsed, SYN, Segment, Side, TCP, UDP,
    checksum, parse,
};

const CLIENT: [u8; 4] = [192, 0, 2, 7];
const VIP: [u8; 4] = [11, 0, 0, 1];
const HERE: [u8; 4] = [10, 0, 0, 1];
const THERE: [u8; 4] = [10, 0, 0, 2];
const CLIENT6: [u8; 16] = [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const VIP6: [u8; 16] = [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const HERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const THERE6: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// Ports of the client, of the VIPs and of the backends.
const ASKS: u16 = 4_000;
const HERE_PORT: u16 = 80;
const THERE_PORT: u16 = 81;
/// And of the VIPs that nobody serves.
const NOBODYS_PORT: u16 = 82;
const ANSWERS: u16 = 31_000;

pub(crate) fn run(input: &[u8]) {
    for side in [Side::Ingress, Side::Egress] {
        check(input, side);
        let mut summed = input.to_vec();
        put_right(&mut summed);
        check(&summed, side);
    }
}

/// What a packet is afterwards, and that the next of its kind fares no worse.
fn check(before: &[u8], side: Side) {
    let host = host();
    for _ in 0..2 {
        let mut after = before.to_vec();
        let outcome = host.run(&mut after, side);
        if outcome == Outcome::Drop {
            continue;
        }
        if outcome == Outcome::Answer {
            let sums = sums(&after);
            assert!(!sums.is_empty(), "{after:02x?}");
            assert!(sums.iter().all(|sum| sum.is_right(&after)), "{sums:?} of {after:02x?}");
            continue;
        }
        assert_eq!(after.len(), before.len());
        for (was, is) in sums(before).iter().zip(sums(&after)) {
            assert!(!was.is_right(before) || is.is_right(&after), "{was:?} of {after:02x?}");
        }
        let (Parsed::Segment(was), Parsed::Segment(is)) = (parse(before), parse(after.as_slice()))
        else {
            assert_eq!(kind(before), kind(&after));
            continue;
        };
        let carried = headers(&was);
        assert_eq!(carried, headers(&is));
        assert_eq!(before.get(carried..), after.get(carried..), "what it carries");
        let hops = if outcome == Outcome::Transmit { was.ip.hops - 1 } else { was.ip.hops };
        assert_eq!(is.ip.hops, hops);
    }
}

/// A machine with VIPs of both protocols and families, whose backends are here or elsewhere, and a flow to each.
fn host() -> Host {
    let rules = Forwarding::new(Some(HERE), Some(HERE6), 42);
    let mut host = Host::new(Forwarding { tracked: 64, buckets: 32, ..rules });
    host.own(Address::v4(HERE));
    host.own(Address::new(HERE6));
    for protocol in [TCP, UDP] {
        host.serve(Endpoint::v4(VIP, NOBODYS_PORT, protocol), &[]);
        host.serve(Endpoint::v6(VIP6, NOBODYS_PORT, protocol), &[]);
        for (port, backend, backend6) in [(HERE_PORT, HERE, HERE6), (THERE_PORT, THERE, THERE6)] {
            let vip = Endpoint::v4(VIP, port, protocol);
            host.serve(vip, &[Endpoint::v4(backend, ANSWERS, protocol)]);
            let vip6 = Endpoint::v6(VIP6, port, protocol);
            host.serve(vip6, &[Endpoint::v6(backend6, ANSWERS, protocol)]);
            let client = Endpoint::v4(CLIENT, ASKS, protocol);
            let client6 = Endpoint::v6(CLIENT6, ASKS, protocol);
            for (client, vip) in [(client, vip), (client6, vip6)] {
                host.run(&mut Built::new(client, vip, SYN).frame(), Side::Ingress);
            }
        }
    }
    host
}

/// Which kind of packet it is.
fn kind(frame: &[u8]) -> u8 {
    match parse(frame) {
        Parsed::Other => 0,
        Parsed::Segment(_) => 1,
        Parsed::Fragment(..) => 2,
        Parsed::Complaint(_) => 3,
        Parsed::Malformed { .. } => 4,
    }
}

/// Where a segment's headers without options end.
fn headers(segment: &Segment) -> usize {
    segment.ip.payload as usize + if segment.tuple.protocol == TCP { 20 } else { 8 }
}

/// A checksum in a packet.
#[derive(Debug)]
struct Sum {
    /// Where it is.
    at: usize,
    /// What it is about.
    from: usize,
    to: usize,
    pseudo: Vec<u8>,
    /// Zero if there is none.
    optional: bool,
}

/// The checksums of a packet that is all there, the innermost first.
fn sums(frame: &[u8]) -> Vec<Sum> {
    let mut sums = Vec::new();
    let ip = match parse(frame) {
        Parsed::Segment(Segment { ip, .. }) => {
            let is_tcp = ip.protocol == TCP;
            let at = ip.payload as usize + if is_tcp { 16 } else { 6 };
            sums.push(carried(&ip, at, pseudo(&ip), !is_tcp));
            ip
        }
        Parsed::Complaint(complaint) => {
            let ip = complaint.ip;
            sums.extend(header(&complaint.about));
            let pseudo = if ip.source.is_v4() { Vec::new() } else { pseudo(&ip) };
            sums.push(carried(&ip, ip.payload as usize + 2, pseudo, false));
            ip
        }
        _ => return sums,
    };
    sums.extend(header(&ip));
    if ip.end as usize <= frame.len() { sums } else { Vec::new() }
}

fn carried(ip: &Ip, at: usize, pseudo: Vec<u8>, optional: bool) -> Sum {
    Sum { at, from: ip.payload as usize, to: ip.end as usize, pseudo, optional }
}

/// That of an IPv4 header.
fn header(ip: &Ip) -> Option<Sum> {
    let (from, to) = (ip.at as usize, ip.payload as usize);
    let sum = Sum { at: from + 10, from, to, pseudo: Vec::new(), optional: false };
    ip.source.is_v4().then_some(sum)
}

/// What sums are over besides.
fn pseudo(ip: &Ip) -> Vec<u8> {
    let mut pseudo = [ip.source.bytes(), ip.destination.bytes()].concat();
    if ip.source.is_v4() {
        pseudo = [ip.source.last(), ip.destination.last()].concat();
    }
    pseudo.extend((ip.end - ip.payload).to_be_bytes());
    pseudo.extend([0, ip.protocol]);
    pseudo
}

fn put_right(frame: &mut [u8]) {
    for sum in sums(frame) {
        let is_missing = sum.optional && frame.get(sum.at..sum.at + 2) == Some(&[0, 0]);
        let Some(field) = frame.get_mut(sum.at..sum.at + 2) else { continue };
        if is_missing {
            continue;
        }
        field.fill(0);
        let value = sum.over(frame);
        let value = if value == 0 && sum.optional { 0xffff } else { value };
        if let Some(field) = frame.get_mut(sum.at..sum.at + 2) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }
}

// === impl Sum ===

impl Sum {
    /// Zero if it is right.
    fn over(&self, frame: &[u8]) -> u16 {
        let mut bytes = self.pseudo.clone();
        bytes.extend(frame.get(self.from..self.to).unwrap_or_default());
        checksum(&bytes)
    }

    fn is_right(&self, frame: &[u8]) -> bool {
        let is_missing = self.optional && frame.get(self.at..self.at + 2) == Some(&[0, 0]);
        is_missing || self.over(frame) == 0
    }
}
