//! Messages of netlink's netfilter family (`nfnetlink.h`), written and read by hand.
//!
//! What there are crates for of it lacks what is needed here: `nfq` hides its descriptor, so
//! that a reader cannot be ended, and `netlink-packet-netfilter` has no queues and no
//! translations of addresses. Both are a handful of nested attributes.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
        setsockopt, socket, sockopt::RcvBufForce,
    },
};

/// `NFNL_SUBSYS_*`.
pub(super) const CONNTRACK: u16 = 1;
pub(super) const QUEUE: u16 = 3;
pub(super) const IPSET: u16 = 6;

/// `NLM_F_*`.
pub(super) const CREATE: u16 = 0x400;
pub(super) const EXCLUSIVE: u16 = 0x200;
pub(super) const DUMP: u16 = 0x300;
const REQUEST: u16 = 1;
const ACK: u16 = 4;

/// `NLMSG_ERROR`: an answer, which may say that there was none.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;

/// `struct nlmsghdr`, and `struct nfgenmsg`.
const HEADER: usize = 16;
const GENERIC: usize = 4;
/// `struct nlattr`.
const ATTRIBUTE: usize = 4;

/// More than the kernel sends at once of a dump.
const BUFFER: usize = 32 << 10;

/// Room for what arrives while nobody reads, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A message being written.
pub(super) struct Message {
    bytes: Vec<u8>,
}

/// A message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received<'a> {
    /// Subsystem in the upper half, message in the lower.
    pub(super) kind: u16,
    sequence: u32,
    /// After both headers.
    body: &'a [u8],
    /// The kernel's answer, if it is one.
    answer: Option<i32>,
}

/// A socket of the family, in the network namespace of who opened it.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: Cell<u32>,
}

// === impl Message ===

impl Message {
    /// A request of a subsystem. `family` is `AF_*`; `resource` is a queue's number.
    pub(super) fn new(subsystem: u16, message: u8, flags: u16, family: u8, resource: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend((subsystem << 8 | u16::from(message)).to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0]);
        bytes.extend(resource.to_be_bytes());
        Self { bytes }
    }

    /// Adds an attribute.
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nest_as(kind, |message| message.bytes.extend(value))
    }

    /// Adds an attribute that is made of others.
    pub(super) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_as(kind | NESTED, inner)
    }

    fn nest_as(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        inner(self);
        // Nothing here comes near 64 KiB.
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ATTRIBUTE), 0);
        self
    }

    /// As the kernel would send it.
    #[cfg(test)]
    pub(super) fn finished(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    fn set(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
}

// === impl Received ===

impl<'a> Received<'a> {
    /// Its attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        attributes(self.body)
    }
}

/// The attributes in a message's body or in another attribute; up to the first that does not
/// fit.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(read16(bytes, 0)?);
        let kind = read16(bytes, 2)? & KIND;
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(ATTRIBUTE)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The messages in what was received; up to the first that does not fit.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = read32(bytes, 0)? as usize;
        let kind = read16(bytes, 4)?;
        let sequence = read32(bytes, 8)?;
        let payload = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let answer = match kind {
            ERROR | DONE => Some(read32(payload, 0)?.cast_signed()),
            _ => None,
        };
        let body = payload.get(GENERIC..).unwrap_or_default();
        Some(Received { kind, sequence, body, answer })
    })
}

fn read16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn read32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

// === impl Socket ===

impl Socket {
    /// Opens one that hears of events of these groups, as bits.
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        setsockopt(&fd, RcvBufForce, &RECEIVE_BUFFER)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { fd, sequence: Cell::new(0) })
    }

    /// Sends a message that is not answered.
    pub(super) fn tell(&self, message: &mut Message) -> io::Result<()> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let length = u32::try_from(message.bytes.len()).unwrap_or(u32::MAX);
        message.set(0, length);
        message.set(8, sequence);
        send(self.fd.as_raw_fd(), &message.bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Sends a message and waits for the kernel's answer; `each` gets what comes before that.
    pub(super) fn ask(
        &self,
        message: &mut Message,
        mut each: impl FnMut(&Received<'_>),
    ) -> io::Result<()> {
        let flags = u16::from_ne_bytes([message.bytes[6], message.bytes[7]]);
        // A dump has an end of its own.
        let flags = if flags & DUMP == DUMP { flags } else { flags | ACK };
        message.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.tell(message)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = match self.receive(&mut buffer, MsgFlags::empty()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            for received in messages(&buffer[..length]) {
                // Answers to what was given up meanwhile.
                if received.sequence != self.sequence.get() {
                    continue;
                }
                match received.answer {
                    Some(0) => return Ok(()),
                    Some(error) => return Err(Errno::from_raw(error.saturating_neg()).into()),
                    None => each(&received),
                }
            }
        }
    }

    /// Receives messages.
    pub(super) fn receive(&self, buffer: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
        Ok(recv(self.fd.as_raw_fd(), buffer, flags)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn message_is_laid_out_as_the_kernel_reads_it() {
        let mut message = Message::new(CONNTRACK, 2, CREATE, 2, 50);
        message.put(7, &[1]).nest(1, |inner| {
            inner.put(2, &[0xab, 0xcd]);
        });
        let length = u32::try_from(message.bytes.len()).unwrap();
        message.set(0, length);
        let expected = [
            [length.to_ne_bytes(), [2, 1, 0x01, 0x04], [0; 4], [0; 4], [2, 0, 0, 50]].concat(),
            vec![5, 0, 7, 0, 1, 0, 0, 0],
            vec![12, 0, 1, 0x80, 6, 0, 2, 0, 0xab, 0xcd, 0, 0],
        ];
        // Little-endian machines, which all that this is built for are.
        assert_eq!(message.bytes, expected.concat());
        let received = messages(&message.bytes).next().unwrap();
        assert_eq!(received.kind, 0x0102);
        let outer: Vec<_> = received.attributes().collect();
        assert_eq!(outer[0], (7, &[1][..]));
        assert_eq!(outer[1].0, 1);
        assert_eq!(attributes(outer[1].1).collect::<Vec<_>>(), [(2, &[0xab, 0xcd][..])]);
    }

    #[test]
    fn answer_says_what_the_kernel_refused() {
        let mut bytes = [0; 20];
        bytes[0] = 20;
        bytes[4] = 2;
        bytes[16..].copy_from_slice(&(-17i32).to_ne_bytes());
        let answers: Vec<_> = messages(&bytes).map(|received| received.answer).collect();
        assert_eq!(answers, [Some(-17)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for received in messages(&bytes) {
                prop_assert!(received.attributes().count() <= bytes.len());
            }
            // A length of zero would be read for ever.
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }
    }
}
