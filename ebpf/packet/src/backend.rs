//! Key and value of the map `backends`.

use crate::{Endpoint, layout::map_type};

/// Index of no counters: those of a backend for which there was no room.
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
    /// given distribution", 1991): one lookup, whatever the weights.
    pub struct Backend {
        /// The VIP this slot belongs to. A reader that finds another VIP here has read a
        /// `vips` entry that was being recycled, and looks again.
        pub vip: Endpoint,
        /// The backend.
        pub backend: Endpoint,
        /// Takes the rest of this slot's share.
        pub alias: Endpoint,
        /// The backend is taken when the drawn fraction is at most this.
        pub threshold: u32,
        /// As configured; 0 drains.
        pub weight: u32,
        /// Index in `counters` of the backend; [`UNCOUNTED`] if it has none.
        pub counter: u32,
        /// The same of the alias.
        pub alias_counter: u32,
    }
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The backend.
    pub backend: Endpoint,
    /// Index of its [`Counters`](crate::Counters); [`UNCOUNTED`] if it has none.
    pub counter: u32,
}

impl Backend {
    /// Who gets the connection for which `fraction` was drawn.
    #[inline(always)]
    pub const fn resolve(&self, fraction: u32) -> Target {
        if fraction <= self.threshold {
            Target { backend: self.backend, counter: self.counter }
        } else {
            Target { backend: self.alias, counter: self.alias_counter }
        }
    }
}
