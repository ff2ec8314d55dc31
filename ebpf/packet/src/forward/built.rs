//! Packets, built header by header.

extern crate std;

use std::{vec, vec::Vec};

use crate::{Address, Endpoint, TCP};

/// A packet of TCP or UDP, over IPv4 or IPv6 as its source's address says.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it is from.
    pub source: Endpoint,
    /// Where it is going: its protocol counts.
    pub destination: Endpoint,
    /// TCP's flags.
    pub flags: u8,
    /// Time to live, or hop limit.
    pub hops: u8,
    /// VLAN tags, the outermost first.
    pub tags: Vec<u16>,
    /// IPv4's options: a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv4's flags and fragment offset.
    pub fragment: u16,
    /// IPv6's extension headers: the number of each, and what comes after the number of the next: with that,
    /// a multiple of eight bytes.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// True if a UDP datagram has no checksum.
    pub unsummed: bool,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Built {
    /// With no options and four bytes to carry.
    pub fn new(source: Endpoint, destination: Endpoint, flags: u8) -> Self {
        Self {
            source,
            destination,
            flags,
            hops: 64,
            tags: Vec::new(),
            options: Vec::new(),
            fragment: 0x4000,
            extensions: Vec::new(),
            unsummed: false,
            payload: vec![1, 2, 3, 4],
        }
    }

    /// Its bytes from the Ethernet header on, between machines 2 and 4.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = self.ethernet();
        frame.extend(self.ip());
        frame
    }

    /// Its bytes from the IP header on.
    pub fn ip(&self) -> Vec<u8> {
        let (source, destination) = (&self.source, &self.destination);
        let mut segment = Vec::new();
        segment.extend(source.port.to_be_bytes());
        segment.extend(destination.port.to_be_bytes());
        let is_tcp = destination.protocol == TCP;
        if is_tcp {
            segment.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, self.flags, 0x20, 0, 0, 0, 0, 0]);
        } else {
            segment.extend(length(8 + self.payload.len()));
            segment.extend([0, 0]);
        }
        segment.extend(&self.payload);
        if is_tcp || !self.unsummed {
            let sum = checksum(&self.summed(destination.protocol, &segment));
            let sum = if sum == 0 && !is_tcp { 0xffff } else { sum };
            put(&mut segment, if is_tcp { 16 } else { 6 }, sum);
        }
        self.carrying(destination.protocol, &segment)
    }

    /// An ICMP error of this packet's source to its destination, about another.
    pub fn error(&self, kind: u8, about: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, 1, 0, 0, 0, 0, 0, 0];
        message.extend(about);
        let is_v4 = Address::of(&self.source).is_v4();
        let protocol = if is_v4 { 1 } else { 58 };
        // That of IPv4 has no pseudo-header.
        let sum = if is_v4 { checksum(&message) } else { checksum(&self.summed(58, &message)) };
        put(&mut message, 2, sum);
        let mut frame = self.ethernet();
        frame.extend(self.carrying(protocol, &message));
        frame
    }

    /// What a checksum is over: the pseudo-header, and what the packet carries.
    fn summed(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut summed = Vec::new();
        for address in [&self.source, &self.destination].map(Address::of) {
            let bytes = address.bytes();
            summed.extend(if address.is_v4() { &bytes[12..] } else { &bytes });
        }
        summed.extend([0, protocol]);
        summed.extend(length(payload.len()));
        summed.extend(payload);
        summed
    }

    fn ethernet(&self) -> Vec<u8> {
        let is_v4 = Address::of(&self.source).is_v4();
        ethernet(&self.tags, if is_v4 { [0x08, 0x00] } else { [0x86, 0xdd] })
    }

    /// The IP header, and what follows.
    fn carrying(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        if !Address::of(&self.source).is_v4() {
            return self.carrying6(protocol, payload);
        }
        let words = 5 + self.options.len() / 4;
        let first = 0x40 | u8::try_from(words).unwrap_or(0);
        let mut header = vec![first, 0];
        header.extend(length(words * 4 + payload.len()));
        header.extend([0, 9]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.hops, protocol, 0, 0]);
        header.extend(Address::of(&self.source).last());
        header.extend(Address::of(&self.destination).last());
        header.extend(&self.options);
        let sum = checksum(&header);
        put(&mut header, 10, sum);
        header.extend(payload);
        header
    }

    fn carrying6(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut rest = Vec::new();
        let numbers = self.extensions.iter().map(|(number, _)| *number).chain([protocol]);
        for (next, (_, bytes)) in numbers.clone().skip(1).zip(&self.extensions) {
            rest.push(next);
            rest.extend(bytes);
        }
        rest.extend(payload);
        let mut header = vec![0x60, 0, 0, 9];
        header.extend(length(rest.len()));
        header.extend(numbers.take(1));
        header.push(self.hops);
        header.extend(self.source.address);
        header.extend(self.destination.address);
        header.extend(rest);
        header
    }
}

fn ethernet(tags: &[u16], carried: [u8; 2]) -> Vec<u8> {
    let mut frame = vec![2; 6];
    frame.extend([4; 6]);
    for (place, tag) in tags.iter().enumerate() {
        let kind: u16 = if place + 1 < tags.len() { 0x88a8 } else { 0x8100 };
        frame.extend(kind.to_be_bytes());
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(carried);
    frame
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// The Internet checksum, added up (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let [high, low] = [pair.first(), pair.get(1)].map(|byte| byte.copied().unwrap_or(0));
        sum += u32::from(u16::from_be_bytes([high, low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
