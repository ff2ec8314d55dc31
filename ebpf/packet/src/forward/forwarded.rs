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
        /// Dropped: more new flows than [`most_new`](crate::Forwarding::most_new).
        pub flood: u64,
        /// Dropped: the VIP has no backend, or none that this machine can send to.
        pub no_backend: u64,
        /// Dropped: fragments to a VIP, the first ones.
        pub first_fragments: u64,
        /// Dropped: fragments to a VIP, later ones, which have no ports.
        pub later_fragments: u64,
        /// Left to the kernel, which answers: too many hops.
        pub hops: u64,
        /// Dropped: headers of packets to a VIP that contradict themselves or are cut off.
        pub malformed: u64,
        /// Left by XDP to the program at tc: no neighbour is known, or the way leads
        /// through another interface.
        pub unresolved: u64,
        /// Dropped: no route to the backend or the client.
        pub no_route: u64,
        /// Larger than what fits on the way, and not to be fragmented.
        pub too_big: u64,
    }
}
