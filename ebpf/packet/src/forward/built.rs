//! Packets, built header by header.

extern crate std;

use std::{vec, vec::Vec};

use crate::{Address, Endpoint, TCP};

/// A packet of TCP or UDP over IPv4.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where it is from.
    pub source: Endpoint,
    /// Where it is going: its protocol counts.
    pub destination: Endpoint,
    /// TCP's flags.
    pub flags: u8,
    /// Time to live.
    pub hops: u8,
    /// VLAN tags, the outermost first.
    pub tags: Vec<u16>,
    /// IPv4's options: a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv4's flags and fragment offset.
    pub fragment: u16,
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
            unsummed: false,
            payload: vec![1, 2, 3, 4],
        }
    }

    /// Its bytes from the Ethernet header on, between machines 2 and 4.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = ethernet(&self.tags);
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
            let mut pseudo = Vec::new();
            pseudo.extend(Address::of(source).last());
            pseudo.extend(Address::of(destination).last());
            pseudo.extend([0, destination.protocol]);
            pseudo.extend(length(segment.len()));
            pseudo.extend(&segment);
            let sum = checksum(&pseudo);
            let sum = if sum == 0 && !is_tcp { 0xffff } else { sum };
            put(&mut segment, if is_tcp { 16 } else { 6 }, sum);
        }
        self.carrying(destination.protocol, &segment)
    }

    /// An ICMP error of this packet's source to its destination, about another.
    pub fn error(&self, kind: u8, about: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, 1, 0, 0, 0, 0, 0, 0];
        message.extend(about);
        let sum = checksum(&message);
        put(&mut message, 2, sum);
        let mut frame = ethernet(&self.tags);
        frame.extend(self.carrying(1, &message));
        frame
    }

    /// The IP header, and what follows.
    fn carrying(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
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
}

fn ethernet(tags: &[u16]) -> Vec<u8> {
    let mut frame = vec![2; 6];
    frame.extend([4; 6]);
    for (place, tag) in tags.iter().enumerate() {
        let kind: u16 = if place + 1 < tags.len() { 0x88a8 } else { 0x8100 };
        frame.extend(kind.to_be_bytes());
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([8, 0]);
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
