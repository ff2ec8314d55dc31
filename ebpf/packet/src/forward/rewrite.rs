//! Writing other addresses and ports into a packet.

use super::{Complaint, Difference, Ip, Packet, Segment, Tuple};
use crate::{Address, TCP};

/// Offsets from the start of an IPv4 header. After hops, protocol and checksum come both addresses.
const HOPS4: u32 = 8;
const CHECKSUM4: u32 = 10;
/// Of an IPv6 header.
const HOPS6: u32 = 6;
const SOURCE6: u32 = 8;
const DESTINATION6: u32 = 24;
/// Of an ICMP header.
const CHECKSUM_ICMP: u32 = 2;

/// Makes a segment one of another tuple, of the same protocol and family. It has come one hop further if it goes
/// `onward`. `None` if the packet ends before a header that [`parse`](super::parse) has seen.
#[inline(always)]
pub fn rewrite(
    packet: &mut (impl Packet + ?Sized),
    segment: &Segment,
    to: &Tuple,
    onward: bool,
) -> Option<()> {
    let Segment { ip, tuple, .. } = segment;
    let ports = renumber(packet, ip.payload, tuple, to)?;
    let addresses = readdress(packet, ip, to.source, to.destination, onward)?;
    tell(packet, ip, addresses, onward);
    let (at, optional) = checksum(ip);
    packet.correct(at, addresses, ports, optional)
}

/// Gives an ICMP error other addresses, and makes it one about a packet of another tuple, of the same protocol
/// and family.
#[inline(always)]
pub fn rewrite_error(
    packet: &mut (impl Packet + ?Sized),
    complaint: &Complaint,
    source: Address,
    destination: Address,
    about: &Tuple,
    onward: bool,
) -> Option<()> {
    let Complaint { ip, about: inner, tuple } = complaint;
    let outside = readdress(packet, ip, source, destination, onward)?;
    tell(packet, ip, outside, onward);
    // All that changes inside changes the sum of the error.
    let mut inside = Difference::NONE;
    let header = packet.load16(inner.at + CHECKSUM4)?;
    let addresses = readdress(packet, inner, about.source, about.destination, false)?;
    if inner.source.is_v4() {
        inside = inside.and(Difference::of16(header, packet.load16(inner.at + CHECKSUM4)?));
    }
    let ports = renumber(packet, inner.payload, tuple, about)?;
    inside = inside.and(addresses).and(ports);
    // An error may hold as little as eight bytes of what the packet carried (RFC 792).
    let (at, optional) = checksum(inner);
    if at + 2 <= ip.end
        && let Some(before) = packet.load16(at)
        && !(optional && before == 0)
    {
        let after = addresses.and(ports).apply(before);
        let after = if optional && after == 0 { 0xffff } else { after };
        packet.store16(at, after)?;
        inside = inside.and(Difference::of16(before, after));
    }
    // ICMP for IPv4 has no pseudo-header.
    let pseudo = if ip.source.is_v4() { Difference::NONE } else { outside };
    packet.correct(ip.payload + CHECKSUM_ICMP, pseudo, inside, false)
}

/// Where the checksum of what a packet carries is, and whether it may be missing.
#[inline(always)]
const fn checksum(ip: &Ip) -> (u32, bool) {
    if ip.protocol == TCP { (ip.payload + 16, false) } else { (ip.payload + 6, true) }
}

/// Writes addresses; what that changes in sums over a pseudo-header.
#[inline(always)]
fn readdress(
    packet: &mut (impl Packet + ?Sized),
    ip: &Ip,
    source: Address,
    destination: Address,
    onward: bool,
) -> Option<Difference> {
    let [s0, s1] = ip.source.words;
    let [d0, d1] = ip.destination.words;
    let low = Difference::of64(s1, source.words[1]).and(Difference::of64(d1, destination.words[1]));
    if ip.source.is_v4() {
        // Hops, protocol and checksum; then both addresses.
        let [hops, protocol, c0, c1] = packet.load32(ip.at + HOPS4)?.to_ne_bytes();
        let less = if onward { hops.wrapping_sub(1) } else { hops };
        let word = |hops| u16::from_ne_bytes([hops, protocol]);
        let aged = Difference::of16(word(hops), word(less));
        let header = if onward { low.and(aged) } else { low };
        let [c0, c1] = header.apply(u16::from_ne_bytes([c0, c1])).to_ne_bytes();
        let [hops, source, destination] =
            [[less, protocol, c0, c1], source.last(), destination.last()].map(u32::from_ne_bytes);
        packet.store96(ip.at + HOPS4, [hops, source, destination])?;
        return Some(low);
    }
    packet.store64(ip.at + SOURCE6, source.words[0])?;
    packet.store64(ip.at + SOURCE6 + 8, source.words[1])?;
    packet.store64(ip.at + DESTINATION6, destination.words[0])?;
    packet.store64(ip.at + DESTINATION6 + 8, destination.words[1])?;
    if onward {
        // With the next header before it.
        let [next, hops] = packet.load16(ip.at + HOPS6)?.to_ne_bytes();
        packet.store16(ip.at + HOPS6, u16::from_ne_bytes([next, hops.wrapping_sub(1)]))?;
    }
    let high =
        Difference::of64(s0, source.words[0]).and(Difference::of64(d0, destination.words[0]));
    Some(low.and(high))
}

/// Tells of what has changed in an IPv6 header, which has no checksum.
#[inline(always)]
fn tell(packet: &mut (impl Packet + ?Sized), ip: &Ip, addresses: Difference, onward: bool) {
    if ip.source.is_v4() {
        return;
    }
    let word = |hops: u8| u16::from_ne_bytes([0, hops]);
    let less = if onward { ip.hops.wrapping_sub(1) } else { ip.hops };
    packet.unsummed(addresses.and(Difference::of16(word(ip.hops), word(less))));
}

/// Writes ports; what that changes.
#[inline(always)]
fn renumber(
    packet: &mut (impl Packet + ?Sized),
    at: u32,
    from: &Tuple,
    to: &Tuple,
) -> Option<Difference> {
    let source = Difference::of16(from.source_port.to_be(), to.source_port.to_be());
    let destination = Difference::of16(from.destination_port.to_be(), to.destination_port.to_be());
    let [s0, s1] = to.source_port.to_be_bytes();
    let [d0, d1] = to.destination_port.to_be_bytes();
    packet.store32(at, u32::from_ne_bytes([s0, s1, d0, d1]))?;
    Some(source.and(destination))
}
