//! Key and value of the map `addresses`: addresses that the forwarded path has to know.

use crate::layout::map_type;

/// Most addresses that are known.
pub const MAX_KNOWN: usize = 65_536;

map_type! {
    /// Key of the map `addresses`.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct KnownAddress {
        /// IPv6, or IPv4-mapped.
        pub address: [u8; 16],
    }
}

map_type! {
    /// What an address is. One address may be both.
    #[derive(Default)]
    pub struct Known {
        /// 1 if it is this machine's, or that of a container here: backends at it get packets with
        /// the client's address, and their answers leave through this machine.
        pub local: u32,
        /// 1 if some VIP has it: its fragments are refused.
        pub vip: u32,
    }
}
