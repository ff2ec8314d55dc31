//! Value of the map `peers`: what a connected socket was connected to.

use crate::{Endpoint, layout::map_type};

map_type! {
    /// Kept with the socket and freed with it.
    pub struct Peer {
        /// The VIP the program asked for.
        pub vip: Endpoint,
        /// The backend it got.
        pub backend: Endpoint,
        /// 1 while a TCP handshake that was counted as started is under way.
        pub pending: u32,
        /// 1 if the state callback was switched on for this handshake, and is to be
        /// switched off after it.
        pub callback: u32,
    }
}

impl Peer {
    /// A socket about to connect.
    #[inline(always)]
    pub const fn new(vip: Endpoint, backend: Endpoint) -> Self {
        Self { vip, backend, pending: 0, callback: 0 }
    }
}
