//! The only value of the map `forwarded`: what became of packets, counted by each processor.

use crate::layout::map_type;

map_type! {
    /// Packets, if nothing else is said.
    #[derive(Default)]
    pub struct Forwarded {
        /// To a backend on this machine.
        pub local: u64,
        /// To a backend on another machine, through this one's address.
        pub remote: u64,
        /// From a backend on this machine, given the VIP as their source.
        pub local_replies: u64,
        /// From a backend on another machine, sent on to the client.
        pub remote_replies: u64,
        /// ICMP errors about a flow, sent on to the side that is to know.
        pub errors: u64,
        /// Flows that began.
        pub opened: u64,
        /// Flows that began in the place of one that had no answer yet.
        pub displaced: u64,
        /// Dropped: no flow has a place that it could give up for a new one.
        pub full: u64,
        /// Dropped: no port of this machine is free towards the backend.
        pub ports: u64,
        /// Of new flows beyond [`most_new`](crate::Forwarding::most_new): dropped, but for datagrams to a backend here,
        /// which get there without being remembered.
        pub flood: u64,
        /// Not forwarded: the VIP has no backend, or none that this machine can send to.
        pub no_backend: u64,
        /// Dropped: fragments to a VIP, the first ones.
        pub first_fragments: u64,
        /// Dropped: fragments to a VIP, later ones, which have no ports.
        pub later_fragments: u64,
        /// Not forwarded: on their last hop, which is not this. ICMP errors among them are left to the kernel.
        pub hops: u64,
        /// Dropped: headers of packets to a VIP that contradict themselves, are cut off, or more than are looked through.
        pub malformed: u64,
        /// Left by XDP to the program at tc: no neighbour is known, or the way leads
        /// through another interface.
        pub unresolved: u64,
        /// Dropped: no route to the backend or the client.
        pub no_route: u64,
        /// Larger than what fits on the way.
        pub too_big: u64,
        /// Answered: a TCP segment to a VIP that nobody serves, with a reset.
        pub told_reset: u64,
        /// Answered: a datagram to such a VIP, with ICMP's "port unreachable".
        pub told_unreachable: u64,
        /// Answered: one that is too big and not to be fragmented, with what would fit.
        pub told_too_big: u64,
        /// Answered: one on its last hop, with ICMP's "time exceeded".
        pub told_expired: u64,
        /// Dropped without an answer: there were too many ICMP errors just then.
        pub untold: u64,
        /// Not counted: when this processor last began a flow, in units of 2^30 ns of `CLOCK_MONOTONIC`.
        pub unit: u64,
        /// Not counted: how many it has begun in that unit.
        pub unit_opened: u64,
        /// Not counted: what this processor's ICMP errors are paid by; see [`pay`](crate::pay).
        pub paid_ns: u64,
        /// Not counted: the kernel's tick in which this processor last read the clock.
        pub tick: u64,
        /// Not counted: the unit of time that it was then.
        pub now: u64,
    }
}

/// What is counted: the fields of [`Forwarded`], in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`Forwarded::local`].
    Local,
    /// [`Forwarded::remote`].
    Remote,
    /// [`Forwarded::local_replies`].
    LocalReply,
    /// [`Forwarded::remote_replies`].
    RemoteReply,
    /// [`Forwarded::errors`].
    Error,
    /// [`Forwarded::opened`].
    Opened,
    /// [`Forwarded::displaced`].
    Displaced,
    /// [`Forwarded::full`].
    Full,
    /// [`Forwarded::ports`].
    Ports,
    /// [`Forwarded::flood`].
    Flood,
    /// [`Forwarded::no_backend`].
    NoBackend,
    /// [`Forwarded::first_fragments`].
    FirstFragment,
    /// [`Forwarded::later_fragments`].
    LaterFragment,
    /// [`Forwarded::hops`].
    Hops,
    /// [`Forwarded::malformed`].
    Malformed,
    /// [`Forwarded::unresolved`].
    Unresolved,
    /// [`Forwarded::no_route`].
    NoRoute,
    /// [`Forwarded::too_big`].
    TooBig,
    /// [`Forwarded::told_reset`].
    ToldReset,
    /// [`Forwarded::told_unreachable`].
    ToldUnreachable,
    /// [`Forwarded::told_too_big`].
    ToldTooBig,
    /// [`Forwarded::told_expired`].
    ToldExpired,
    /// [`Forwarded::untold`].
    Untold,
}

const _: () = assert!(core::mem::offset_of!(Forwarded, unit) == (Event::Untold.index() + 1) * 8);

impl Forwarded {
    /// How often something was counted.
    pub const fn count(&self, event: Event) -> u64 {
        match event {
            Event::Local => self.local,
            Event::Remote => self.remote,
            Event::LocalReply => self.local_replies,
            Event::RemoteReply => self.remote_replies,
            Event::Error => self.errors,
            Event::Opened => self.opened,
            Event::Displaced => self.displaced,
            Event::Full => self.full,
            Event::Ports => self.ports,
            Event::Flood => self.flood,
            Event::NoBackend => self.no_backend,
            Event::FirstFragment => self.first_fragments,
            Event::LaterFragment => self.later_fragments,
            Event::Hops => self.hops,
            Event::Malformed => self.malformed,
            Event::Unresolved => self.unresolved,
            Event::NoRoute => self.no_route,
            Event::TooBig => self.too_big,
            Event::ToldReset => self.told_reset,
            Event::ToldUnreachable => self.told_unreachable,
            Event::ToldTooBig => self.told_too_big,
            Event::ToldExpired => self.told_expired,
            Event::Untold => self.untold,
        }
    }
}

impl Event {
    /// Which of the counters, as an array of them.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }
}
