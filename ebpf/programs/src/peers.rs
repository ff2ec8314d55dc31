//! What sockets were connected to: remembered, found again, forgotten.
//!
//! A TCP connection that lasts a moment should not cost an allocation, so the records lie
//! side by side in one array, each at the place its socket's cookie says. Who finds the place
//! taken, by a connection that lasts longer, has the record kept in the socket.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    helpers::generated::bpf_sk_storage_get,
};
use muster_packet::{Endpoint, Peer, Stage, Target};

use crate::{
    atomic,
    balance::read,
    count::{Event, count},
    maps::{CONNECTIONS, PEERS},
};

/// `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
pub const ESTABLISHED: u32 = 1;

/// A socket that is alive while the program runs.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Its cookie; 0 for protocols whose records are kept in the sockets.
    pub cookie: u64,
    /// As the program's context has it. May be null.
    pub sk: *mut bpf_sock,
}

/// The record of a socket, with the tag it had when it was found.
#[derive(Clone, Copy)]
pub struct Record {
    peer: *mut Peer,
    pub tag: u64,
}

// === impl Socket ===

impl Socket {
    /// Remembers what the socket is being connected to.
    #[inline(always)]
    pub fn remember(self, vip: &Endpoint, target: &Target<'_>) {
        let tag = Peer::first_tag(self.cookie);
        let mut peer = self.place();
        if peer.is_null() || !self.take(peer, tag) {
            let mut value = Peer::new(self.cookie, *vip, target);
            // Without memory for it the connection works, but shows the backend as its peer.
            peer = self.storage(&raw mut value, BPF_SK_STORAGE_GET_F_CREATE.into());
            if peer.is_null() {
                return;
            }
        }
        // Field by field: as a whole it would be a call of memmove.
        // SAFETY: a live value that is this socket's. Threads that connect one UDP socket at
        // the same moment may mix their peers up.
        unsafe {
            (&raw mut (*peer).tag).write_volatile(tag);
            write(&raw mut (*peer).vip, vip);
            write(&raw mut (*peer).backend, target.backend);
            (&raw mut (*peer).counter).write_volatile(target.counter);
        }
    }

    /// The socket's record; `None` if it was connected to no VIP.
    #[inline(always)]
    pub fn record(self) -> Option<Record> {
        self.placed().or_else(|| self.kept())
    }

    /// The VIP the socket was connected to, if it got this backend.
    #[inline(always)]
    pub fn vip(self, backend: &Endpoint) -> Option<Endpoint> {
        let record = self.record()?;
        if record.backend().is(backend) { Some(record.vip()) } else { None }
    }

    /// The socket is being connected to something else.
    #[inline(always)]
    pub fn forget(self) {
        // A socket that is connected again and again may have had both.
        if let Some(record) = self.placed() {
            record.end(0, false);
        }
        if let Some(record) = self.kept() {
            record.end(0, false);
        }
    }

    /// The record at the socket's place, if that is the socket's own.
    #[inline(always)]
    fn placed(self) -> Option<Record> {
        let place = self.place();
        if place.is_null() {
            return None;
        }
        let record = Record::read(place);
        if Peer::is_of(record.tag, self.cookie) { Some(record) } else { None }
    }

    /// The record that is kept in the socket.
    #[inline(always)]
    fn kept(self) -> Option<Record> {
        let kept = self.storage(ptr::null_mut(), 0);
        if kept.is_null() {
            return None;
        }
        let record = Record::read(kept);
        if record.tag == 0 { None } else { Some(record) }
    }

    /// The socket's place in the array, whoever has it now. Null if it never has one.
    #[inline(always)]
    fn place(self) -> *mut Peer {
        if self.cookie == 0 {
            return ptr::null_mut();
        }
        CONNECTIONS.get_ptr_mut(Peer::place(self.cookie)).unwrap_or(ptr::null_mut())
    }

    /// Takes a place that is free or the socket's own.
    #[inline(always)]
    fn take(self, place: *mut Peer, tag: u64) -> bool {
        let record = Record::read(place);
        (record.tag == 0 || Peer::is_of(record.tag, self.cookie)) && record.end(tag, false)
    }

    /// Where the socket keeps its record. Null if it has none, or no memory for one.
    #[inline(always)]
    fn storage(self, value: *mut Peer, flags: u64) -> *mut Peer {
        if self.sk.is_null() {
            return ptr::null_mut();
        }
        let map: *mut c_void = ptr::from_ref(&PEERS).cast_mut().cast();
        // SAFETY: a map of socket storage and a live socket.
        unsafe { bpf_sk_storage_get(map, self.sk.cast(), value.cast(), flags) }.cast()
    }
}

// === impl Record ===

impl Record {
    #[inline(always)]
    fn read(peer: *mut Peer) -> Self {
        // SAFETY: a live map value.
        Self { peer, tag: unsafe { (&raw const (*peer).tag).read_volatile() } }
    }

    /// The backend. Whether the record was still the socket's when it was read is only known
    /// after [`retag`](Self::retag).
    #[inline(always)]
    fn backend(self) -> Endpoint {
        // SAFETY: a live map value.
        unsafe { read(&raw const (*self.peer).backend) }
    }

    /// Index of the backend's counters, known as well as the backend.
    #[inline(always)]
    fn counter(self) -> u32 {
        // SAFETY: a live map value.
        unsafe { (&raw const (*self.peer).counter).read_volatile() }
    }

    /// When the handshake began.
    #[inline(always)]
    pub fn since(self) -> u32 {
        // SAFETY: a live map value.
        unsafe { (&raw const (*self.peer).since).read_volatile() }
    }

    #[inline(always)]
    fn vip(self) -> Endpoint {
        // SAFETY: a live map value.
        unsafe { read(&raw const (*self.peer).vip) }
    }

    /// Gives the record another tag, unless another processor has done so since it was found.
    #[inline(always)]
    fn retag(self, tag: u64) -> bool {
        // SAFETY: a live map value.
        unsafe { atomic::exchange(&raw mut (*self.peer).tag, self.tag, tag) }
    }

    /// The handshake begins now, with these callbacks to be switched off after it.
    #[inline(always)]
    pub fn begin(self, callbacks: u32, now: u32) {
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        // SAFETY: a live map value that is this socket's, which is about to send its SYN.
        unsafe { (&raw mut (*self.peer).since).write_volatile(now) };
        if self.retag(Peer::watched(Peer::retag(self.tag, Stage::Pending), callbacks)) {
            count(&vip, &Target { backend: &backend, counter }, Event::Started);
        }
    }

    /// The handshake was not answered in time, which counts as a failure.
    #[inline(always)]
    pub fn be_late(self) {
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        if self.retag(Peer::retag(self.tag, Stage::Late)) {
            failed(&vip, &backend, counter, 0, 1);
        }
    }

    /// Moves the connection to another stage, and counts what that means for its backend.
    #[inline(always)]
    pub fn advance(self, stage: Stage, event: Event) {
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        if self.retag(Peer::retag(self.tag, stage)) {
            count(&vip, &Target { backend: &backend, counter }, event);
        }
    }

    /// An established connection ends: its record stays for a program that still has the socket.
    #[inline(always)]
    pub fn be_over(self, event: Event) {
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        let closed = Peer::is_at(self.tag, Stage::Closing);
        let tag = if closed { 0 } else { Peer::retag(self.tag, Stage::Over) };
        if self.retag(tag) {
            count(&vip, &Target { backend: &backend, counter }, event);
        }
    }

    /// Segments of the connection were sent again.
    #[inline(always)]
    pub fn sent_again(self, segments: u64) {
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        count(&vip, &Target { backend: &backend, counter }, Event::SentAgain { segments });
    }

    /// The program has closed the socket. An established connection that is still to change its `state` has
    /// something to tell then; of others nothing is to come. False if the tag is another by now.
    #[inline(always)]
    pub fn close(self, state: u32) -> bool {
        if Peer::is_at(self.tag, Stage::Established) && state == ESTABLISHED {
            return self.retag(Peer::retag(self.tag, Stage::Closing));
        }
        self.end(0, false)
    }

    /// Ends what the record says: from now on it has the tag of something else, or 0. If a
    /// handshake was under way, it has failed, unless it has before: `refused` by the other
    /// side, or given up by this one. False if the tag is another by now.
    #[inline(always)]
    pub fn end(self, tag: u64, refused: bool) -> bool {
        if !Peer::is_at(self.tag, Stage::Pending) {
            return self.retag(tag);
        }
        let (vip, backend, counter) = (self.vip(), self.backend(), self.counter());
        let ended = self.retag(tag);
        if ended {
            failed(&vip, &backend, counter, u64::from(refused), 0);
        }
        ended
    }
}

/// Counts a handshake as failed. A function of its own, called where it is needed: that is
/// seldom, and the programs' code should fit into the processor's cache.
#[cold]
#[inline(never)]
fn failed(vip: &Endpoint, backend: &Endpoint, counter: u32, refused: u64, timeouts: u64) {
    count(vip, &Target { backend, counter }, Event::Failed { refused, timeouts });
}

/// Writes an endpoint word by word: as a whole it would be a call of memmove.
///
/// # Safety
///
/// It points into a live map value.
#[inline(always)]
unsafe fn write(to: *mut Endpoint, endpoint: &Endpoint) {
    let [first, second, third] = endpoint.words();
    let words = to.cast::<u64>();
    // SAFETY: what the caller vouches for; an endpoint is three words.
    unsafe {
        words.write_volatile(first);
        words.add(1).write_volatile(second);
        words.add(2).write_volatile(third);
    }
}
