//! Key and value of the map `backends`.

use crate::{Endpoint, layout::map_type};

/// The place of a backend in a VIP for whose counters there was no room.
pub const UNCOUNTED: u32 = u32::MAX;

map_type! {
    /// Names one backend of one version of a VIP's table.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct Slot {
        /// Number of the table; never used again once given up.
        pub table: u32,
        /// From 0.
        pub index: u32,
    }
}

map_type! {
    /// One slot of a VIP's table.
    ///
    /// Slots are drawn evenly; `threshold` and `alias` turn that into the weights (Walker's
    /// alias method, M. D. Vose, "A linear algorithm for generating random numbers with a
    /// given distribution", 1991): one lookup if weights are equal, at most two otherwise.
    pub struct Backend {
        /// The VIP this slot belongs to. A reader that finds another VIP here has read a
        /// `vips` entry that was being recycled, and looks again.
        pub vip: Endpoint,
        /// The backend.
        pub backend: Endpoint,
        /// The backend is taken when the drawn fraction is at most this.
        pub threshold: u32,
        /// As configured; 0 drains.
        pub weight: u32,
        /// The [`Pair`]'s place in `counters` and `handshakes`; [`UNCOUNTED`] if it has none.
        pub counter: u32,
        /// Index of the slot whose backend takes the rest of this slot's share. Its own where
        /// nothing is left.
        pub alias: u32,
    }
}

// The kernel's head of an entry and the key take 56 bytes more.
const _: () = assert!(size_of::<Backend>() <= 72, "an entry is two cache lines");

map_type! {
    /// Key of the map `counted`: a backend in a VIP. What became of connections is counted for each.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct Pair {
        /// The VIP.
        pub vip: Endpoint,
        /// One of its backends.
        pub backend: Endpoint,
    }
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The backend, where it was found.
    pub backend: &'a Endpoint,
    /// Where it is counted in the VIP: see [`Backend::counter`].
    pub counter: u32,
}

impl Backend {
    /// True if the slot's own backend gets the connection for which `fraction` was drawn;
    /// otherwise that of the slot [`alias`](Self::alias) does.
    #[inline(always)]
    pub const fn is_own(&self, fraction: u32) -> bool {
        fraction <= self.threshold
    }

    /// The slot's backend in its VIP.
    pub const fn pair(&self) -> Pair {
        Pair { vip: self.vip, backend: self.backend }
    }

    /// The slot's backend.
    #[inline(always)]
    pub const fn target(&self) -> Target<'_> {
        Target { backend: &self.backend, counter: self.counter }
    }
}
