//! Queues of packets that wait for a verdict (`nfnetlink_queue.h`).

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{errno::Errno, sys::socket::MsgFlags};

use super::netlink::{self, Message, Socket, messages};
use crate::Error;

/// The queues that the rules spread SYNs over: `--queue-balance 50:58`.
pub(super) const QUEUES: std::ops::RangeInclusive<u16> = 50..=58;

const MSG_PACKET: u8 = 0;
const MSG_VERDICT: u8 = 1;
const MSG_CONFIG: u8 = 2;

const CFG_CMD: u16 = 1;
const CFG_PARAMS: u16 = 2;
const CMD_BIND: u8 = 1;
const COPY_PACKET: u8 = 2;

const PACKET_HDR: u16 = 1;
const VERDICT_HDR: u16 = 2;
const PAYLOAD: u16 = 10;
const NF_ACCEPT: u32 = 1;

/// `NF_INET_LOCAL_OUT`: the hook of packets that this machine sends.
const LOCAL_OUT: u8 = 3;

/// How much of a packet is looked at: the longest headers of IPv4 and TCP.
const HEADERS: u32 = 120;

/// A packet that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    id: [u8; 4],
    /// True if a program in this network sends it; false if it has come from elsewhere.
    pub(super) is_local: bool,
    /// Its first bytes.
    pub(super) bytes: &'a [u8],
}

/// A queue of this network, bound: others who try get [`Error::QueueBusy`].
pub(super) struct Queue {
    number: u16,
    socket: Socket,
}

// === impl Queue ===

impl Queue {
    /// Binds to a queue. From here on packets wait in it; before, they are dropped.
    pub(super) fn bind(number: u16) -> Result<Self, Error> {
        let failed = |error: io::Error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY | Errno::EPERM) => Error::QueueBusy { queue: number },
            _ => Error::Queue { queue: number, source: error },
        };
        let socket = Socket::open(0).map_err(failed)?;
        let mut bind = Message::new(netlink::QUEUE, MSG_CONFIG, 0, 0, number);
        bind.put(CFG_CMD, &[CMD_BIND, 0, 0, 0]);
        socket.ask(&mut bind, |_| {}).map_err(failed)?;
        let mut copy = Message::new(netlink::QUEUE, MSG_CONFIG, 0, 0, number);
        let [a, b, c, d] = HEADERS.to_be_bytes();
        copy.put(CFG_PARAMS, &[a, b, c, d, COPY_PACKET]);
        socket.ask(&mut copy, |_| {}).map_err(failed)?;
        Ok(Self { number, socket })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Hands packets that wait to `each`, and then lets them go on. False if there are none.
    pub(super) fn drain(
        &self,
        buffer: &mut [u8],
        mut each: impl FnMut(&Packet<'_>),
    ) -> io::Result<bool> {
        let length = match self.socket.receive(buffer, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            result => result?,
        };
        for message in messages(&buffer[..length]) {
            if message.kind != netlink::QUEUE << 8 | u16::from(MSG_PACKET) {
                continue;
            }
            let Some(packet) = packet(message.attributes()) else { continue };
            each(&packet);
            self.accept(packet.id)?;
        }
        Ok(true)
    }

    /// Lets a packet go on, as it came.
    fn accept(&self, id: [u8; 4]) -> io::Result<()> {
        let mut verdict = Message::new(netlink::QUEUE, MSG_VERDICT, 0, 0, self.number);
        let [a, b, c, d] = NF_ACCEPT.to_be_bytes();
        verdict.put(VERDICT_HDR, &[a, b, c, d, id[0], id[1], id[2], id[3]]);
        self.socket.tell(&mut verdict)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn packet<'a>(attributes: impl Iterator<Item = (u16, &'a [u8])>) -> Option<Packet<'a>> {
    let (mut header, mut bytes): (&[u8], &[u8]) = (&[], &[]);
    for (kind, value) in attributes {
        match kind {
            PACKET_HDR => header = value,
            PAYLOAD => bytes = value,
            _ => {}
        }
    }
    // packet_id, hw_protocol and hook, without padding.
    let id = <[u8; 4]>::try_from(header.get(..4)?).ok()?;
    Some(Packet { id, is_local: *header.get(6)? == LOCAL_OUT, bytes })
}
