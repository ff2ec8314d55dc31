//! Packets of our own: to who sent one that cannot go on.
//!
//! Each is made of the packet that it answers, and goes back the way that came: out of the same interface, to the
//! Ethernet address it is from.

mod headers;

use headers::{Link, header4, header6, pair, sum16, sum32};

use super::{ACK, Difference, Event, FIN, Ip, Packet, RST, SYN, Segment, World};
use crate::{Address, TCP};

/// Why a packet does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody serves the VIP.
    Refused,
    /// It has come too many hops.
    Expired,
    /// It is larger than this, in bytes from the IP header on, and must not be fragmented.
    TooBig(u16),
}

/// A packet whose length can be changed.
pub trait Resize: Packet {
    /// Its bytes, from the start of the Ethernet header on.
    fn length(&self) -> u32;

    /// Cuts off all but its first bytes.
    fn cut(&mut self, length: u32) -> Option<()>;

    /// Puts bytes in front of it. What they are is not said.
    fn grow(&mut self, bytes: u32) -> Option<()>;

    /// The sum of at least one and at most [`MOST_SUMMED`] bytes.
    fn sum(&self, from: u32, length: u32) -> Option<Difference>;

    /// True if the checksum of what it carried when it arrived is still to be made: what is in its place is the sum of
    /// the pseudo-header. To find that out, two bytes may be overwritten.
    fn lacks_sum(&mut self, spare: u32) -> bool {
        let _ = spare;
        false
    }
}

/// Most bytes that are summed at once.
pub const MOST_SUMMED: u32 = 1_024;

/// How much of a packet an ICMP error about it holds: all told it has no more than 576 bytes (RFC 1812, 4.3.2.3), and with IPv6
/// well below 1,280 (RFC 4443, 2.4).
const MOST_QUOTED4: u32 = 576 - 28;
const MOST_QUOTED6: u32 = MOST_SUMMED;

/// An IPv4 header without options, an IPv6 header without extensions, a TCP header without options, and an ICMP header.
const HEADER4: u32 = 20;
const HEADER6: u32 = 40;
const HEADER_TCP: u32 = 20;
const HEADER_ICMP: u32 = 8;

/// IANA's numbers.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// An ICMP error is network control (RFC 1812, 4.3.2.5); of the rest of the type of service it has what the packet had.
const CONTROL: u8 = 0xc0;
const SERVICE: u8 = 0x1e;

/// Makes of a packet the answer to it, which is to be sent back. `None` if it is not to be, and the packet is dropped.
#[inline(always)]
pub fn reject<W: World, P: Resize + ?Sized>(
    world: &W,
    packet: &mut P,
    segment: &Segment,
    why: Rejection,
) -> Option<()> {
    let rules = world.rules()?;
    let Segment { ip, tuple, .. } = segment;
    if !is_whole(packet, ip)? {
        world.count(Event::Malformed);
        return None;
    }
    if !is_from_one(packet, ip)? {
        return None;
    }
    if why == Rejection::Refused && tuple.protocol == TCP {
        reset(packet, segment)?;
        world.count(Event::ToldReset);
        return Some(());
    }
    if !world.may_tell(rules) {
        world.count(Event::Untold);
        return None;
    }
    let source = match why {
        // Who else than the one that was asked would know.
        Rejection::Refused | Rejection::TooBig(_) => ip.destination,
        Rejection::Expired => rules.source(ip.source).unwrap_or(ip.destination),
    };
    // Type and code, by RFC 792 and RFC 4443.
    let (error4, error6, most, event) = match why {
        Rejection::Refused => ([3, 3], [1, 4], 0, Event::ToldUnreachable),
        Rejection::Expired => ([11, 0], [3, 0], 0, Event::ToldExpired),
        Rejection::TooBig(most) => ([3, 4], [2, 0], most, Event::ToldTooBig),
    };
    complain(packet, ip, source, if ip.source.is_v4() { error4 } else { error6 }, most)?;
    world.count(event);
    Some(())
}

/// Pays for an ICMP error out of a token bucket that holds `most`, and gets one more each `interval_ns` (RFC 1812,
/// 4.3.2.8). It is full at the time `paid_ns`, which is what it is known by; when it is then, or `None` if it is empty.
#[inline(always)]
pub const fn pay(paid_ns: u64, now_ns: u64, interval_ns: u32, most: u32) -> Option<u64> {
    let interval = interval_ns as u64;
    let paid = if paid_ns > now_ns { paid_ns } else { now_ns } + interval;
    if paid - now_ns > interval * most as u64 { None } else { Some(paid) }
}

/// True if all of the packet is there, and its header is right: no other is answered (RFC 1812, 4.3.2.7).
#[inline(always)]
fn is_whole<P: Resize + ?Sized>(packet: &P, ip: &Ip) -> Option<bool> {
    if ip.end > packet.length() {
        return Some(false);
    }
    if !ip.source.is_v4() {
        return Some(true);
    }
    Some(packet.sum(ip.at, ip.payload.wrapping_sub(ip.at))?.apply(u16::MAX) == 0)
}

/// True if the packet was meant for this machine alone, and is from one, not from a group (RFC 1122, 3.2.2; RFC 4443, 2.4).
#[inline(always)]
fn is_from_one<P: Resize + ?Sized>(packet: &P, ip: &Ip) -> Option<bool> {
    let is_group = packet.load8(0)? & 1 != 0;
    let is_source = if ip.source.is_v4() {
        let [first, ..] = ip.source.last();
        first != 0 && first != 127 && first < 224
    } else {
        let [first, second] = ip.source.words;
        let [group, ..] = first.to_ne_bytes();
        group != 0xff && (first != 0 || u64::from_be(second) > 1)
    };
    Some(!is_group && is_source)
}

/// What a closed port answers (RFC 9293, 3.5.2).
#[inline(always)]
fn reset<P: Resize + ?Sized>(packet: &mut P, segment: &Segment) -> Option<()> {
    let Segment { ip, tuple, flags } = segment;
    let at = ip.payload;
    let is_v4 = ip.source.is_v4();
    // What is between the header and TCP can be overwritten in IPv4.
    if flags & RST != 0 || !is_v4 && at.wrapping_sub(ip.at) != HEADER6 {
        return None;
    }
    let (sequence, acknowledged) = (packet.load32(at + 4)?, packet.load32(at + 8)?);
    let header = u32::from(packet.load8(at + 12)? >> 4) * 4;
    let length = ip.end.wrapping_sub(at);
    if header < HEADER_TCP || header > length {
        return None;
    }
    let (sequence, acknowledged, kind) = if flags & ACK != 0 {
        (acknowledged, 0, RST)
    } else {
        let taken =
            length.wrapping_sub(header) + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        (0, u32::from_be(sequence).wrapping_add(taken).to_be(), RST | ACK)
    };
    let ends = (ip.destination, ip.source);
    packet.cut(at + HEADER_TCP)?;
    Link::of(packet)?.write(packet)?;
    let pseudo = if is_v4 {
        header4(packet, ip.at, at.wrapping_sub(ip.at), 0, (TCP, HEADER_TCP), ends)?
    } else {
        header6(packet, ip.at, 0, (TCP, HEADER_TCP), ends)?
    };
    let words = [
        u32::from_ne_bytes(pair(tuple.destination_port.to_be(), tuple.source_port.to_be())),
        sequence,
        acknowledged,
        u32::from_ne_bytes([0x50, kind, 0, 0]),
    ];
    let [ports, sequence, acknowledged, rest] = words;
    packet.store32(at, ports)?;
    packet.store32(at + 4, sequence)?;
    packet.store32(at + 8, acknowledged)?;
    packet.store32(at + 12, rest)?;
    // The checksum, and no urgent data.
    packet.store32(at + 16, 0)?;
    let sum = sum32(ports).and(sum32(sequence)).and(sum32(acknowledged)).and(sum32(rest));
    packet.correct(at + 16, pseudo, sum, false)
}

/// An ICMP error about a packet, of a type and code, with a number.
#[inline(always)]
fn complain<P: Resize + ?Sized>(
    packet: &mut P,
    ip: &Ip,
    source: Address,
    error: [u8; 2],
    number: u16,
) -> Option<()> {
    let is_v4 = ip.source.is_v4();
    let (header, most) = if is_v4 { (HEADER4, MOST_QUOTED4) } else { (HEADER6, MOST_QUOTED6) };
    let whole = ip.end.wrapping_sub(ip.at);
    let quoted = if whole < most { whole } else { most };
    let link = Link::of(packet)?;
    let service = service(packet, ip)?;
    packet.cut(ip.at + quoted)?;
    let room = header + HEADER_ICMP;
    packet.grow(room)?;
    link.write(packet)?;
    let (at, about) = (ip.at + header, ip.at + room);
    let (mut summed, mut rest) = (quoted, Difference::NONE);
    if packet.lacks_sum(at + 2) {
        // What it carries sums up to the opposite of what its pseudo-header does, once it has its checksum.
        summed = ip.payload.wrapping_sub(ip.at);
        let sum_at = about + summed + if ip.protocol == TCP { 16 } else { 6 };
        rest = Difference::of16(packet.load16(sum_at)?, 0);
    }
    let quote = packet.sum(about, summed)?.and(rest);
    let ends = (source, ip.source);
    let length = HEADER_ICMP + quoted;
    let tos = CONTROL | service & SERVICE;
    let pseudo = if is_v4 {
        header4(packet, ip.at, HEADER4, tos, (ICMP, length), ends)?;
        Difference::NONE
    } else {
        header6(packet, ip.at, tos, (ICMPV6, length), ends)?
    };
    let first = u16::from_ne_bytes(error);
    // The MTU of IPv4 is the second half of four bytes of which IPv6 has all (RFC 1191, RFC 4443).
    let number = number.to_be();
    let sum = sum16(first).and(sum16(number)).and(pseudo).and(quote);
    packet.store16(at, first)?;
    packet.store16(at + 2, sum.apply(u16::MAX))?;
    packet.store16(at + 4, 0)?;
    packet.store16(at + 6, number)
}

/// Type of service, or traffic class.
#[inline(always)]
fn service<P: Packet + ?Sized>(packet: &P, ip: &Ip) -> Option<u8> {
    let [first, second] = packet.load16(ip.at)?.to_ne_bytes();
    Some(if ip.source.is_v4() { second } else { first << 4 | second >> 4 })
}
