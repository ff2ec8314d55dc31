//! Entries of the connection table, and what becomes of them (`nfnetlink_conntrack.h`).

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, BorrowedFd},
};

use muster_packet::TCP;
use nix::{errno::Errno, libc, sys::socket::MsgFlags};

use super::netlink::{
    self, CREATE, DUMP, EXCLUSIVE, Message, Received, Socket, attributes, messages,
};

const MSG_NEW: u8 = 0;
const MSG_GET: u8 = 1;
const MSG_DELETE: u8 = 2;

/// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY`, as bits.
const GROUPS: u32 = 0b111;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const NAT_SRC: u16 = 6;
const TIMEOUT: u16 = 7;
const NAT_DST: u16 = 13;

const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V4_DST: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;

const PROTOINFO_TCP: u16 = 1;
const TCP_STATE: u16 = 1;
const SYN_SENT: u8 = 1;
const TIME_WAIT: u8 = 7;
const TCP_CLOSE: u8 = 8;

const NAT_V4_MINIP: u16 = 1;
const NAT_V4_MAXIP: u16 = 2;
const NAT_PROTO: u16 = 3;
const PORT_MIN: u16 = 1;
const PORT_MAX: u16 = 2;

/// `IPS_SEEN_REPLY`.
const SEEN_REPLY: u32 = 2;

/// `IPS_DST_NAT`.
const DST_NAT: u32 = 32;

/// How long an entry lives whose SYN never follows, in seconds: minuteman's. With the SYN, the
/// kernel's own times begin.
const UNUSED_SECONDS: u32 = 2;

/// `AF_INET`.
#[expect(clippy::cast_possible_truncation, reason = "it is 2")]
const INET: u8 = libc::AF_INET as u8;

/// A client's end and the VIP it connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Flow {
    pub(super) client: SocketAddrV4,
    pub(super) vip: SocketAddrV4,
}

/// What has become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The backend has answered.
    Replied(Flow),
    /// The entry is gone: refused, given up, or over.
    Ended(Flow),
}

/// What came of [`Conntrack::pin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinned {
    /// The connection goes where it was to go.
    Anew,
    /// It has an entry already: its SYN is sent again.
    Already,
}

/// An entry that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    replied: bool,
    state: u8,
}

/// The connection table, for changes.
pub(super) struct Conntrack {
    socket: Socket,
}

/// The connection table, for what happens there.
pub(super) struct Events {
    socket: Socket,
}

// === impl Conntrack ===

impl Conntrack {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open(0)? })
    }

    /// Leads a connection that begins to a backend; with `source`, from that address instead
    /// of the client's.
    ///
    /// An entry of a connection that is over, left by a client that uses its port again, makes
    /// room.
    pub(super) fn pin(
        &self,
        flow: Flow,
        backend: SocketAddrV4,
        source: Option<Ipv4Addr>,
    ) -> io::Result<Pinned> {
        if self.insert(flow, backend, source)? == Pinned::Anew {
            return Ok(Pinned::Anew);
        }
        match self.entry(flow)? {
            Some(Entry { state: TIME_WAIT | TCP_CLOSE, .. }) => {
                self.delete(flow)?;
                self.insert(flow, backend, source)
            }
            Some(_) => Ok(Pinned::Already),
            None => self.insert(flow, backend, source),
        }
    }

    /// True if the backend has answered.
    pub(super) fn has_replied(&self, flow: Flow) -> io::Result<bool> {
        Ok(self.entry(flow)?.is_some_and(|entry| entry.replied))
    }

    /// True if there are TCP connections whose destination is translated, and which are not
    /// over.
    pub(super) fn has_translated(&self) -> io::Result<bool> {
        let mut message = Message::new(netlink::CONNTRACK, MSG_GET, DUMP, INET, 0);
        let mut has = false;
        self.socket.ask(&mut message, |received| {
            let (mut is_translated, mut state) = (false, TCP_CLOSE);
            for (kind, value) in received.attributes() {
                match kind {
                    STATUS => is_translated = status(value) & DST_NAT != 0,
                    PROTOINFO => state = tcp_state(value),
                    _ => {}
                }
            }
            has |= is_translated && !matches!(state, TIME_WAIT | TCP_CLOSE);
        })?;
        Ok(has)
    }

    fn insert(
        &self,
        flow: Flow,
        backend: SocketAddrV4,
        source: Option<Ipv4Addr>,
    ) -> io::Result<Pinned> {
        let mut message = entry_message(flow, backend, source);
        match self.socket.ask(&mut message, |_| {}) {
            Ok(()) => Ok(Pinned::Anew),
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => Ok(Pinned::Already),
            Err(error) => Err(error),
        }
    }

    fn entry(&self, flow: Flow) -> io::Result<Option<Entry>> {
        let mut message = Message::new(netlink::CONNTRACK, MSG_GET, 0, INET, 0);
        tuple(&mut message, TUPLE_ORIG, flow.client, flow.vip);
        let mut entry = Entry::default();
        let asked = self.socket.ask(&mut message, |received| {
            for (kind, value) in received.attributes() {
                match kind {
                    STATUS => entry.replied = status(value) & SEEN_REPLY != 0,
                    PROTOINFO => entry.state = tcp_state(value),
                    _ => {}
                }
            }
        });
        found(asked.map(|()| entry))
    }

    fn delete(&self, flow: Flow) -> io::Result<()> {
        let mut message = Message::new(netlink::CONNTRACK, MSG_DELETE, 0, INET, 0);
        tuple(&mut message, TUPLE_ORIG, flow.client, flow.vip);
        found(self.socket.ask(&mut message, |_| {})).map(drop)
    }
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn entry_message(flow: Flow, backend: SocketAddrV4, source: Option<Ipv4Addr>) -> Message {
    let mut message = Message::new(netlink::CONNTRACK, MSG_NEW, CREATE | EXCLUSIVE, INET, 0);
    tuple(&mut message, TUPLE_ORIG, flow.client, flow.vip);
    tuple(&mut message, TUPLE_REPLY, flow.vip, flow.client);
    message.put(TIMEOUT, &UNUSED_SECONDS.to_be_bytes());
    message.nest(PROTOINFO, |info| {
        info.nest(PROTOINFO_TCP, |tcp| {
            tcp.put(TCP_STATE, &[SYN_SENT]);
        });
    });
    if let Some(source) = source {
        message.nest(NAT_SRC, |nat| {
            nat.put(NAT_V4_MINIP, &source.octets()).put(NAT_V4_MAXIP, &source.octets());
        });
    }
    message.nest(NAT_DST, |nat| {
        let address = backend.ip().octets();
        nat.put(NAT_V4_MINIP, &address).put(NAT_V4_MAXIP, &address);
        nat.nest(NAT_PROTO, |ports| {
            let port = backend.port().to_be_bytes();
            ports.put(PORT_MIN, &port).put(PORT_MAX, &port);
        });
    });
    message
}

/// One direction of a TCP connection.
fn tuple(message: &mut Message, kind: u16, from: SocketAddrV4, to: SocketAddrV4) {
    message.nest(kind, |tuple| {
        tuple.nest(TUPLE_IP, |ip| {
            ip.put(IP_V4_SRC, &from.ip().octets()).put(IP_V4_DST, &to.ip().octets());
        });
        tuple.nest(TUPLE_PROTO, |ports| {
            ports.put(PROTO_NUM, &[TCP]);
            ports.put(PROTO_SRC_PORT, &from.port().to_be_bytes());
            ports.put(PROTO_DST_PORT, &to.port().to_be_bytes());
        });
    });
}

// === impl Events ===

impl Events {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open(GROUPS)? })
    }

    /// Hands what happened to `each`. False if nothing has.
    pub(super) fn drain(&self, buffer: &mut [u8], mut each: impl FnMut(Event)) -> io::Result<bool> {
        let length = match self.socket.receive(buffer, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            result => result?,
        };
        messages(&buffer[..length]).filter_map(|message| event(&message)).for_each(&mut each);
        Ok(true)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What a message of the groups says of a TCP connection over IPv4.
fn event(message: &Received<'_>) -> Option<Event> {
    let is_end = message.kind == netlink::CONNTRACK << 8 | u16::from(MSG_DELETE);
    let mut flow = None;
    let mut replied = false;
    for (kind, value) in message.attributes() {
        match kind {
            TUPLE_ORIG => flow = read_tuple(value),
            STATUS => replied = status(value) & SEEN_REPLY != 0,
            _ => {}
        }
    }
    match (is_end, replied) {
        (true, _) => flow.map(Event::Ended),
        (false, true) => flow.map(Event::Replied),
        (false, false) => None,
    }
}

fn read_tuple(bytes: &[u8]) -> Option<Flow> {
    let (mut from, mut to) = (None, None);
    let (mut from_port, mut to_port, mut protocol) = (None, None, None);
    for (kind, value) in attributes(bytes) {
        for (inner, value) in attributes(value) {
            match (kind, inner) {
                (TUPLE_IP, IP_V4_SRC) => from = <[u8; 4]>::try_from(value).ok(),
                (TUPLE_IP, IP_V4_DST) => to = <[u8; 4]>::try_from(value).ok(),
                (TUPLE_PROTO, PROTO_NUM) => protocol = value.first(),
                (TUPLE_PROTO, PROTO_SRC_PORT) => from_port = <[u8; 2]>::try_from(value).ok(),
                (TUPLE_PROTO, PROTO_DST_PORT) => to_port = <[u8; 2]>::try_from(value).ok(),
                _ => {}
            }
        }
    }
    if protocol != Some(&TCP) {
        return None;
    }
    let end = |address: Option<[u8; 4]>, port: Option<[u8; 2]>| {
        Some(SocketAddrV4::new(address?.into(), u16::from_be_bytes(port?)))
    };
    Some(Flow { client: end(from, from_port)?, vip: end(to, to_port)? })
}

fn status(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_be_bytes)
}

fn tcp_state(bytes: &[u8]) -> u8 {
    let tcp = attributes(bytes).find(|(kind, _)| *kind == PROTOINFO_TCP);
    let state = tcp.and_then(|(_, tcp)| attributes(tcp).find(|(kind, _)| *kind == TCP_STATE));
    state.and_then(|(_, state)| state.first().copied()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow { client: "10.0.0.1:40000".parse().unwrap(), vip: "11.0.0.1:80".parse().unwrap() }
    }

    /// What the kernel sends of an entry.
    fn told(message: u8, status: u32) -> Message {
        let mut told = Message::new(netlink::CONNTRACK, message, 0, INET, 0);
        tuple(&mut told, TUPLE_ORIG, flow().client, flow().vip);
        tuple(&mut told, TUPLE_REPLY, "10.0.0.2:8080".parse().unwrap(), flow().client);
        told.put(STATUS, &status.to_be_bytes());
        told
    }

    #[test]
    fn events_are_told_apart() {
        let events = |message: &Message| {
            let bytes = message.finished();
            messages(&bytes).filter_map(|message| event(&message)).collect::<Vec<_>>()
        };
        assert_eq!(events(&told(MSG_NEW, 0)), []);
        assert_eq!(events(&told(MSG_NEW, SEEN_REPLY | 8)), [Event::Replied(flow())]);
        assert_eq!(events(&told(MSG_DELETE, 0)), [Event::Ended(flow())]);
    }

    #[test]
    fn entry_has_the_backend_and_the_source_if_that_changes() {
        let kinds = |source| {
            let bytes = entry_message(flow(), "10.0.0.2:8080".parse().unwrap(), source).finished();
            let message = messages(&bytes).next().unwrap();
            let kinds: Vec<u16> = message.attributes().map(|(kind, _)| kind).collect();
            kinds
        };
        let kept = [TUPLE_ORIG, TUPLE_REPLY, TIMEOUT, PROTOINFO, NAT_DST];
        assert_eq!(kinds(None), kept);
        let changed = [TUPLE_ORIG, TUPLE_REPLY, TIMEOUT, PROTOINFO, NAT_SRC, NAT_DST];
        assert_eq!(kinds(Some(Ipv4Addr::LOCALHOST)), changed);
    }
}
