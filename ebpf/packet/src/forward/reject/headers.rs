//! The headers of packets of our own.

use core::hint::black_box;

use super::HEADER4;
use crate::{Address, Difference, Packet};

/// Options of an IPv4 header are at most ten words.
const OPTIONS: u64 = 10;

/// Hops that a packet of ours has before it.
const HOPS: u8 = 64;

/// The Ethernet header of the answer, with what may be tags.
pub(super) struct Link {
    addresses: u64,
    more: u32,
    tags: u64,
    last: u16,
}

impl Link {
    /// That of the answer to a packet.
    #[inline(always)]
    pub(super) fn of<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let [d0, d1, d2, d3, d4, d5, s0, s1] = packet.load64(0)?.to_ne_bytes();
        let [s2, s3, s4, s5] = packet.load32(8)?.to_ne_bytes();
        Some(Self {
            addresses: u64::from_ne_bytes([s0, s1, s2, s3, s4, s5, d0, d1]),
            more: u32::from_ne_bytes([d2, d3, d4, d5]),
            tags: packet.load64(12)?,
            last: packet.load16(20)?,
        })
    }

    /// To be followed by the IP header, which begins earlier than this ends if there are no tags.
    #[inline(always)]
    pub(super) fn write<P: Packet + ?Sized>(&self, packet: &mut P) -> Option<()> {
        packet.store64(0, self.addresses)?;
        packet.store32(8, self.more)?;
        packet.store64(12, self.tags)?;
        packet.store16(20, self.last)
    }
}

/// Writes an IPv4 header of `length` bytes, in which options are none; what it adds to sums over a pseudo-header.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "packets of ours have some 1,100 bytes at most"
)]
pub(super) fn header4<P: Packet + ?Sized>(
    packet: &mut P,
    at: u32,
    length: u32,
    tos: u8,
    (protocol, carried): (u8, u32),
    (source, destination): (Address, Address),
) -> Option<Difference> {
    let first = u16::from_ne_bytes([0x40 | (length / 4) as u8, tos]);
    let total = ((length + carried) as u16).to_be();
    let hops = u16::from_ne_bytes([HOPS, protocol]);
    // Not to be fragmented, so it needs no identification (RFC 6864).
    let fragment = u32::from_ne_bytes([0, 0, 0x40, 0]);
    let source = u32::from_ne_bytes(source.last());
    let destination = u32::from_ne_bytes(destination.last());
    let addresses = sum32(source).and(sum32(destination));
    let mut sum = sum16(first).and(sum16(total)).and(sum32(fragment)).and(sum16(hops));
    if length > HEADER4 {
        const NONE: u32 = u32::from_ne_bytes([1; 4]);
        for word in 0..black_box(OPTIONS) {
            let offset = HEADER4 + word as u32 * 4;
            if offset >= length {
                break;
            }
            packet.store32(at + offset, NONE)?;
            sum = sum.and(sum32(NONE));
        }
    }
    packet.store16(at, first)?;
    packet.store16(at + 2, total)?;
    packet.store32(at + 4, fragment)?;
    packet.store16(at + 8, hops)?;
    packet.store16(at + 10, sum.and(addresses).apply(u16::MAX))?;
    packet.store32(at + 12, source)?;
    packet.store32(at + 16, destination)?;
    Some(addresses.and(sum16((carried as u16).to_be())).and(sum16(u16::from(protocol).to_be())))
}

/// Writes an IPv6 header; what it adds to sums over a pseudo-header.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "packets of ours have some 1,100 bytes at most"
)]
pub(super) fn header6<P: Packet + ?Sized>(
    packet: &mut P,
    at: u32,
    class: u8,
    (next, carried): (u8, u32),
    (source, destination): (Address, Address),
) -> Option<Difference> {
    let (Address { words: [s0, s1] }, Address { words: [d0, d1] }) = (source, destination);
    let length = (carried as u16).to_be();
    packet.store32(at, u32::from_ne_bytes([0x60 | class >> 4, class << 4, 0, 0]))?;
    packet.store16(at + 4, length)?;
    packet.store16(at + 6, u16::from_ne_bytes([next, HOPS]))?;
    packet.store64(at + 8, s0)?;
    packet.store64(at + 16, s1)?;
    packet.store64(at + 24, d0)?;
    packet.store64(at + 32, d1)?;
    let addresses = sum64(s0).and(sum64(s1)).and(sum64(d0)).and(sum64(d1));
    Some(addresses.and(sum16(length)).and(sum16(u16::from(next).to_be())))
}

/// Two numbers, one after the other.
pub(super) const fn pair(first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}

/// A number as part of a sum.
#[inline(always)]
pub(super) const fn sum16(word: u16) -> Difference {
    Difference::of16(u16::MAX, word)
}

/// The same of four bytes.
#[inline(always)]
pub(super) const fn sum32(word: u32) -> Difference {
    sum64(word as u64)
}

#[inline(always)]
const fn sum64(word: u64) -> Difference {
    Difference::of64(u64::MAX, word)
}
