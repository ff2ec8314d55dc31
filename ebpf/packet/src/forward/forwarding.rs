//! The only value of the map `forwarding`: how packets are forwarded.

use crate::{Address, layout::map_type};

/// Flows that are remembered by default: a power of two. Each takes 96 bytes, all told: a
/// [`Tracked`](crate::Tracked) of 64, and half a [`Bucket`](crate::Bucket) of 64, in which it
/// has a place for each direction. Both maps are arrays, so the kernel adds nothing.
pub const MAX_TRACKED: usize = 1 << 16;

/// Buckets of the index for that many flows: one for two flows, so that of eight places four
/// are taken, on average, when the table is full.
pub const MAX_BUCKETS: usize = MAX_TRACKED / 2;

/// First port of this machine's that flows to other machines' backends are given. Below the ports
/// that agents offer (31000) and those that sockets are given (32768).
pub const FIRST_PORT: u16 = 10_000;

/// The last of them.
pub const LAST_PORT: u16 = 30_999;

/// Flows that one processor may begin in a unit of time by default: what takes it a fifth of its time, and some
/// times what the table holds by default, so that handshakes have the time that they take.
const MOST_NEW: u32 = 125_000;

/// How often one processor may send an ICMP error, and how many at once: as Linux has it for all together
/// (`net.ipv4.icmp_msgs_per_sec` and `icmp_msgs_burst`).
const ERROR_INTERVAL_NS: u32 = 1_000_000;
const ERROR_BURST: u32 = 50;

map_type! {
    /// Written by user space before the programs are attached.
    ///
    /// The programs take the tables' sizes from here: the maps `tracked` and `track_index` may be made with
    /// other sizes than the object's, by `EbpfLoader::map_max_entries`.
    #[derive(Default)]
    pub struct Forwarding {
        /// This machine's IPv4 address, IPv4-mapped: the source of packets to backends on other
        /// machines, to which their answers come back. Zero if it has none.
        pub source4: [u8; 16],
        /// The same of IPv6.
        pub source6: [u8; 16],
        /// A secret, drawn when the maps are made, and kept as long as they are: it decides
        /// where flows are in the tables.
        pub seed: u64,
        /// Entries of `tracked`: a power of two. With 0 nothing is forwarded.
        pub tracked: u32,
        /// Entries of `track_index`: a power of two.
        pub buckets: u32,
        /// Ports that flows to other machines are given: [`FIRST_PORT`] and so on.
        pub first_port: u16,
        /// See [`LAST_PORT`].
        pub last_port: u16,
        /// Most flows that one processor may begin in a unit of time (2^30 ns, 1.07 s); 0 for no limit: a bound of what
        /// a flood can cost, and of how fast it takes the places of handshakes. Beyond it no packet enters a flow into the
        /// tables: see [`open`](crate::open).
        pub most_new: u32,
        /// ICMP errors of each processor's own are this far apart, on average; 0 for no limit.
        pub error_interval_ns: u32,
        /// How many of them there may be at once.
        pub error_burst: u32,
    }
}

impl Forwarding {
    /// Tables of the default size, the default ports and limit of new flows, and the kernel's of errors.
    pub const fn new(source4: Option<[u8; 4]>, source6: Option<[u8; 16]>, seed: u64) -> Self {
        Self {
            source4: match source4 {
                Some(bytes) => Address::v4(bytes).bytes(),
                None => [0; 16],
            },
            source6: match source6 {
                Some(bytes) => bytes,
                None => [0; 16],
            },
            seed,
            tracked: 1 << MAX_TRACKED.trailing_zeros(),
            buckets: 1 << MAX_BUCKETS.trailing_zeros(),
            first_port: FIRST_PORT,
            last_port: LAST_PORT,
            most_new: MOST_NEW,
            error_interval_ns: ERROR_INTERVAL_NS,
            error_burst: ERROR_BURST,
        }
    }

    /// The source of packets to a backend of this address's family. `None` if this machine has
    /// no such address.
    #[inline(always)]
    pub fn source(&self, to: Address) -> Option<Address> {
        let source = Address::new(if to.is_v4() { self.source4 } else { self.source6 });
        if source == Address::NONE { None } else { Some(source) }
    }
}
