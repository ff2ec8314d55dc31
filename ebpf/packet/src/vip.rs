//! The value of the map `vips`.

use crate::{Policy, layout::map_type};

map_type! {
    /// Where a VIP's backends are.
    ///
    /// Backends are never changed in place. A change writes a new table under a number that
    /// was never used before and then replaces this value, so that a reader sees either
    /// the old backends or the new ones.
    #[derive(Default)]
    pub struct Vip {
        /// The table's number: the first half of the key of its [`Backend`](crate::Backend)s.
        pub table: u32,
        /// Backends that take new connections: slots 0 to `backends - 1`. With none,
        /// connections are refused.
        pub backends: u32,
        /// Backends that take none (weight 0): the slots after those.
        pub draining: u32,
        /// The [`Policy`]'s number.
        pub policy: u32,
        /// Slots of its [Maglev table](crate::maglev), which has the same number; 0 if it has none.
        pub slots: u32,
        /// How many of the backends that take connections are of the VIP's own family, IPv4 or IPv6: they have the
        /// first slots. Packets are forwarded to those only, as nothing here translates from one family to the other.
        pub native: u32,
    }
}

impl Vip {
    /// A table, how many backends it has, and how they are chosen. It has no Maglev table, and all backends are of the
    /// VIP's family.
    pub const fn new(table: u32, backends: u32, draining: u32, policy: Policy) -> Self {
        Self { table, backends, draining, policy: policy.number(), slots: 0, native: backends }
    }

    /// The same, with a Maglev table of so many slots.
    #[must_use]
    pub const fn with_slots(self, slots: u32) -> Self {
        Self { slots, ..self }
    }

    /// The same, with so many backends of the VIP's family.
    #[must_use]
    pub const fn with_native(self, native: u32) -> Self {
        Self { native, ..self }
    }

    /// The same, with those backends only that packets are forwarded to.
    #[inline(always)]
    #[must_use]
    pub const fn forwarded(self) -> Self {
        Self { backends: self.native, ..self }
    }
}
