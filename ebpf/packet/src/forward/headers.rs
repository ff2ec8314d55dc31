//! Where a packet's headers are, and what they say.

use super::{Packet, Tuple};
use crate::{Address, TCP, UDP};

mod six;

pub use six::FARTHEST6;

/// Bytes of an Ethernet header without tags (IEEE 802.3).
const ETHERNET: u32 = 14;
/// Bytes of a VLAN tag (IEEE 802.1Q), of which there may be two (802.1ad).
const TAG: u32 = 4;
/// `EtherTypes`.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// IANA's numbers of protocols and extension headers.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What of a datagram a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// The first fragment, which has the ports.
    First,
    /// A later one.
    Later,
}

/// An IP header, and the extension headers after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Where it begins.
    pub at: u32,
    /// Where what it carries begins.
    pub payload: u32,
    /// Where the packet ends, by what the header says.
    pub end: u32,
    /// What it carries: IANA's number.
    pub protocol: u8,
    /// Hops that are left: TTL or hop limit.
    pub hops: u8,
    /// Fragments.
    pub part: Part,
    /// IPv4 only: not to be fragmented on the way. Always so with IPv6.
    pub whole: bool,
    /// Where it is from.
    pub source: Address,
    /// Where it is going.
    pub destination: Address,
}

/// A packet of TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its IP header.
    pub ip: Ip,
    /// Addresses and ports.
    pub tuple: Tuple,
    /// TCP's flags: see [`FIN`] and the others; 0 in UDP.
    pub flags: u8,
}

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Its own IP header.
    pub ip: Ip,
    /// That of the packet it is about.
    pub about: Ip,
    /// Addresses and ports of that.
    pub tuple: Tuple,
}

/// TCP: the sender is done.
pub const FIN: u8 = 1;
/// The connection begins.
pub const SYN: u8 = 2;
/// It is given up.
pub const RST: u8 = 4;
/// The acknowledgement number counts.
pub const ACK: u8 = 16;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// None of the others.
    Other,
    /// A segment or datagram.
    Segment(Segment),
    /// A fragment of one: with its ports if it is the first.
    Fragment(Ip, Option<Tuple>),
    /// An ICMP error about one.
    Complaint(Complaint),
    /// Its headers contradict themselves, or do not fit into it.
    Malformed {
        /// Where it was going.
        destination: Address,
    },
}

/// What a packet that is no whole segment of IPv4 may be: where to look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Nothing that [`parse`] finds anything in.
    None,
    /// See [`parse4`].
    V4,
    /// See [`parse_segment6`] and [`parse6`].
    V6,
}

/// The segment or datagram over IPv4, whole and in order, that most packets are. `None` of all others: see
/// [`interest`].
#[inline(always)]
pub fn parse_segment(packet: &(impl Packet + ?Sized)) -> Option<Segment> {
    let (IPV4, at) = network(packet)? else { return None };
    plain(packet, Ip::read4(packet, at)?)
}

/// The same over IPv6, without extension headers.
#[inline(always)]
pub fn parse_segment6(packet: &(impl Packet + ?Sized)) -> Option<Segment> {
    let (IPV6, at) = network(packet)? else { return None };
    plain(packet, Ip::fixed6(packet, at)?)
}

/// [`parse_segment`] and [`parse_segment6`] of a packet that begins with its IP header, as netfilter hands it
/// out.
#[cfg(any(test, feature = "user"))]
pub fn parse_ip_segment(packet: &(impl Packet + ?Sized)) -> Option<Segment> {
    let ip = match packet.load8(0)? >> 4 {
        4 => Ip::read4(packet, 0)?,
        6 => Ip::fixed6(packet, 0)?,
        _ => return None,
    };
    plain(packet, ip)
}

/// A whole segment.
#[inline(always)]
fn plain(packet: &(impl Packet + ?Sized), ip: Ip) -> Option<Segment> {
    let is_segment = ip.protocol == TCP || ip.protocol == UDP;
    if !is_segment || ip.part != Part::Whole || ip.end < ip.payload {
        return None;
    }
    segment(packet, ip)
}

/// Reads the headers.
#[inline(always)]
pub fn parse(packet: &(impl Packet + ?Sized)) -> Parsed {
    match network(packet) {
        Some((IPV4, _)) => parse4(packet),
        Some(_) => parse6(packet),
        None => Parsed::Other,
    }
}

/// [`parse`] of IPv4: all else is [`Parsed::Other`].
#[inline(always)]
pub fn parse4(packet: &(impl Packet + ?Sized)) -> Parsed {
    let Some((IPV4, at)) = network(packet) else { return Parsed::Other };
    let Some(ip) = Ip::read4(packet, at) else { return Parsed::Other };
    parsed(packet, IPV4, ip)
}

/// [`parse`] of IPv6: all else is [`Parsed::Other`].
#[inline(always)]
pub fn parse6(packet: &(impl Packet + ?Sized)) -> Parsed {
    let Some((IPV6, at)) = network(packet) else { return Parsed::Other };
    let Some(ip) = Ip::read6(packet, at) else { return Parsed::Other };
    if six::is_extension(ip.protocol) {
        // Fragments begin where the datagram was cut, which may be within its extension headers.
        return match ip.part {
            Part::Later => Parsed::Fragment(ip, None),
            _ => Parsed::Malformed { destination: ip.destination },
        };
    }
    parsed(packet, IPV6, ip)
}

#[inline(always)]
fn parsed(packet: &(impl Packet + ?Sized), version: u16, ip: Ip) -> Parsed {
    if ip.end < ip.payload {
        return Parsed::Malformed { destination: ip.destination };
    }
    if ip.protocol == TCP || ip.protocol == UDP {
        match (ip.part, segment(packet, ip)) {
            (Part::Later, _) => Parsed::Fragment(ip, None),
            (Part::First, Some(segment)) => Parsed::Fragment(ip, Some(segment.tuple)),
            (Part::Whole, Some(segment)) => Parsed::Segment(segment),
            (_, None) => Parsed::Malformed { destination: ip.destination },
        }
    } else if ip.part == Part::Whole && (ip.protocol == ICMP || ip.protocol == ICMPV6) {
        complaint(packet, version, ip).map_or(Parsed::Other, Parsed::Complaint)
    } else {
        Parsed::Other
    }
}

/// Where to look, if [`parse_segment`] has found nothing.
#[inline(always)]
pub fn interest(packet: &(impl Packet + ?Sized)) -> Interest {
    match network(packet) {
        // What is behind extension headers remains to be seen.
        Some((IPV6, _)) => Interest::V6,
        Some((_, at))
            if packet.load8(at + 9).is_some_and(|p| p == ICMP || p == TCP || p == UDP) =>
        {
            Interest::V4
        }
        _ => Interest::None,
    }
}

/// The `EtherType` of IP, and where its header begins.
#[inline(always)]
fn network(packet: &(impl Packet + ?Sized)) -> Option<(u16, u32)> {
    let mut at = ETHERNET;
    let mut kind = packet.number(at - 2)?;
    if kind == VLAN || kind == SERVICE_VLAN {
        at += TAG;
        kind = packet.number(at - 2)?;
        if kind == VLAN || kind == SERVICE_VLAN {
            at += TAG;
            kind = packet.number(at - 2)?;
        }
    }
    if kind == IPV4 || kind == IPV6 { Some((kind, packet.blur(at))) } else { None }
}

/// Ports and flags, if all of the transport header is there.
#[inline(always)]
fn segment(packet: &(impl Packet + ?Sized), ip: Ip) -> Option<Segment> {
    if ip.part == Part::Later {
        return None;
    }
    let (ports, length, flags) = if ip.protocol == TCP {
        let [ports, _, _, flags, _] = packet.load160(ip.payload)?;
        let [_, flags, _, _] = flags.to_ne_bytes();
        (ports, 20, flags)
    } else {
        let [p0, p1, p2, p3, ..] = packet.load64(ip.payload)?.to_ne_bytes();
        (u32::from_ne_bytes([p0, p1, p2, p3]), 8, 0)
    };
    let tuple = tuple(&ip, ports);
    if ip.end < ip.payload + length { None } else { Some(Segment { ip, tuple, flags }) }
}

/// With the two ports as they lie in memory.
#[inline(always)]
const fn tuple(ip: &Ip, ports: u32) -> Tuple {
    let [s0, s1, d0, d1] = ports.to_ne_bytes();
    Tuple {
        source: ip.source,
        destination: ip.destination,
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        protocol: ip.protocol,
    }
}

/// The error, if it is one, and about TCP or UDP.
#[inline(always)]
fn complaint(packet: &(impl Packet + ?Sized), version: u16, ip: Ip) -> Option<Complaint> {
    let kind = packet.load8(ip.payload)?;
    let is_error = if version == IPV4 {
        // Destination unreachable, time exceeded, parameter problem (RFC 792).
        ip.protocol == ICMP && (kind == 3 || kind == 11 || kind == 12)
    } else {
        // The same and packet too big (RFC 4443).
        ip.protocol == ICMPV6 && (1..=4).contains(&kind)
    };
    if !is_error {
        return None;
    }
    let about = Ip::read(packet, version, ip.payload + 8)?;
    let of_a_flow = about.protocol == TCP || about.protocol == UDP;
    // What is behind the error's end, such as Ethernet's padding, is not in its sum.
    if !of_a_flow || about.part == Part::Later || ip.end < about.payload + 4 {
        return None;
    }
    let tuple = tuple(&about, packet.load32(about.payload)?);
    Some(Complaint { ip, about, tuple })
}

impl Ip {
    /// `None` if it is no IP header, or not all of it is there.
    #[inline(always)]
    fn read(packet: &(impl Packet + ?Sized), version: u16, at: u32) -> Option<Self> {
        if version == IPV4 { Self::read4(packet, at) } else { Self::read6(packet, at) }
    }

    /// RFC 791.
    #[inline(always)]
    fn read4(packet: &(impl Packet + ?Sized), at: u32) -> Option<Self> {
        let [length, fragment, carried, source, destination] = packet.load160(at)?;
        let [first, _, l0, l1] = length.to_ne_bytes();
        let header = u32::from(first & 15) * 4;
        if first >> 4 != 4 || header < 20 {
            return None;
        }
        let [_, _, f0, f1] = fragment.to_ne_bytes();
        let fragment = u16::from_be_bytes([f0, f1]);
        let [hops, protocol, ..] = carried.to_ne_bytes();
        let part = if fragment & 0x1fff != 0 {
            Part::Later
        } else if fragment & 0x2000 != 0 {
            Part::First
        } else {
            Part::Whole
        };
        Some(Self {
            at,
            payload: packet.blur(at + header),
            end: at + u32::from(u16::from_be_bytes([l0, l1])),
            protocol,
            hops,
            part,
            whole: fragment & 0x4000 != 0,
            source: Address::v4(source.to_ne_bytes()),
            destination: Address::v4(destination.to_ne_bytes()),
        })
    }
}
