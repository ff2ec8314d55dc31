//! Values of the maps `tracked` and `track_index`: the flows that are forwarded.

use super::State;
use crate::layout::map_type;

/// Places in a bucket.
pub const WAYS: usize = 8;

map_type! {
    /// A flow, both of its directions: 64 bytes, one cache line.
    #[derive(Default)]
    pub struct Tracked {
        /// Who asks; IPv6, or IPv4-mapped.
        pub client: [u8; 16],
        /// Whom it asks.
        pub vip: [u8; 16],
        /// Who answers.
        pub backend: [u8; 16],
        /// In host order, as all ports are.
        pub client_port: u16,
        /// The VIP's.
        pub vip_port: u16,
        /// The backend's.
        pub backend_port: u16,
        /// This machine's, from which packets to the backend come; 0 if the backend is here, and
        /// sees the client's address.
        pub nat_port: u16,
        /// When its last packet came, in units of 2^30 ns (1.07 s) of `CLOCK_MONOTONIC`.
        pub seen: u32,
        /// [`TCP`](crate::TCP) or [`UDP`](crate::UDP).
        pub protocol: u8,
        /// How far it is: bits of [`Phase`](crate::Phase); 0 in a place that is free.
        pub phase: u8,
        /// Counts the flows that had this place, modulo 2^16.
        pub generation: u16,
    }
}

impl Tracked {
    /// How far it is.
    pub const fn state(&self) -> State {
        let Self { seen, protocol, phase, generation, .. } = *self;
        State { seen, protocol, phase, generation }
    }
}

map_type! {
    /// A bucket of the index: where flows are whose addresses and ports, in one direction, have
    /// the hash value of the bucket.
    #[derive(Default)]
    pub struct Bucket {
        /// Upper half: the upper half of the hash value. Lower half: the flow's place in `tracked`, plus 1.
        /// 0 if free.
        pub entries: [u64; WAYS],
    }
}
