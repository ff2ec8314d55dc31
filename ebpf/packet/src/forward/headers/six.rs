//! IPv6's header, and the extension headers after it (RFC 8200).

use core::hint::black_box;

use super::{Ip, Packet, Part};
use crate::Address;

/// IANA's numbers of the extension headers that are looked through. Behind one that authenticates (51) or
/// encrypts (50) nothing can be changed.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;

/// Bytes of the header that every packet has.
const FIXED: u32 = 40;

/// Extension headers of a packet that are looked through. RFC 8200 knows no use for more before TCP or UDP, but
/// of destination options twice. The bound has 64 bits: of a shorter one on the stack the verifier may not know any
/// more what it is.
const EXTENSIONS: u64 = 4;

/// Bytes that they may have in all. With both headers of an ICMP error as long as that, all that is looked at
/// lies in a packet's first [`FARTHEST6`] bytes.
const EXTENSION_BYTES: u32 = 128;

/// How far into a packet [`parse6`](super::parse6) looks at most: Ethernet with two tags, an IP header, that of ICMP,
/// the IP header of the packet an error is about, and the first bytes of TCP.
pub const FARTHEST6: u32 = 22 + FIXED + EXTENSION_BYTES + 8 + FIXED + EXTENSION_BYTES + 20;

/// True of a number of an extension header that is looked through.
#[inline(always)]
pub(super) const fn is_extension(protocol: u8) -> bool {
    const ALL: u64 = 1 << HOP_BY_HOP | 1 << ROUTING | 1 << FRAGMENT | 1 << OPTIONS;
    protocol < 64 && ALL >> protocol & 1 != 0
}

impl Ip {
    /// The header alone. `None` if it is none, or not all of it is there; and if it has an address that stands for one of
    /// IPv4: no packet may (RFC 4038, 4.2), and it would be taken for one.
    #[inline(always)]
    pub(super) fn fixed6(packet: &(impl Packet + ?Sized), at: u32) -> Option<Self> {
        if packet.load8(at)? >> 4 != 6 {
            return None;
        }
        let address = |at: u32| {
            let address = Address { words: [packet.load64(at)?, packet.load64(at + 8)?] };
            if address.is_v4() { None } else { Some(address) }
        };
        Some(Self {
            at,
            payload: at + FIXED,
            end: at + FIXED + u32::from(packet.number(at + 4)?),
            protocol: packet.load8(at + 6)?,
            hops: packet.load8(at + 7)?,
            part: Part::Whole,
            whole: true,
            source: address(at + 8)?,
            destination: address(at + 24)?,
        })
    }

    /// With the extension headers: [`is_extension`] still holds of the protocol of a later fragment, and if there are
    /// more than are looked through, or not all of one is there.
    #[inline(always)]
    pub(super) fn read6(packet: &(impl Packet + ?Sized), at: u32) -> Option<Self> {
        let mut ip = Self::fixed6(packet, at)?;
        for _ in 0..black_box(EXTENSIONS) {
            if !is_extension(ip.protocol) || ip.part == Part::Later || ip.skip(packet).is_none() {
                break;
            }
        }
        Some(ip)
    }

    /// Goes on behind an extension header.
    #[inline(always)]
    fn skip(&mut self, packet: &(impl Packet + ?Sized)) -> Option<()> {
        let (next, length) = (packet.load8(self.payload)?, packet.load8(self.payload + 1)?);
        let mut bytes = (u32::from(length) + 1) * 8;
        if self.protocol == FRAGMENT {
            let fragment = packet.number(self.payload + 2)?;
            if fragment & !7 != 0 {
                self.part = Part::Later;
            } else if fragment & 1 != 0 {
                self.part = Part::First;
            }
            bytes = 8;
        }
        // The sums of a packet that has yet to be somewhere else are made for the last of its destinations.
        if self.protocol == ROUTING && packet.load8(self.payload + 3)? != 0 {
            return None;
        }
        let payload = packet.blur(self.payload + bytes);
        if payload > self.at + FIXED + EXTENSION_BYTES {
            return None;
        }
        self.payload = payload;
        self.protocol = next;
        Some(())
    }
}
