//! What the eBPF programs and user space share: the keys and values of every map,
//! and the decisions made on them.
//!
//! The crate is compiled twice. In the eBPF object it runs in the kernel; on the host it
//! is what the data plane writes the maps with and what the tests drive. A decision that
//! is made here is therefore made the same way on both sides.
//!
//! Nothing here allocates, panics or indexes without a check: the kernel's verifier has
//! to accept every instruction of it.
#![no_std]
#![expect(
    clippy::inline_always,
    reason = "a call inside an eBPF program costs stack, and hides facts from the verifier"
)]

mod address;
mod backend;
mod choice;
mod counters;
mod endpoint;
mod flows;
mod forward;
mod handshakes;
mod latency;
mod layout;
mod networks;
mod peer;
mod pick;
mod policy;
mod vip;

pub mod maglev;

pub use address::Address;
pub use backend::{Backend, Pair, Slot, Target, UNCOUNTED};
pub use choice::{Choice, choose, next, steady};
pub use counters::{
    BREAKER_BACKOFF_NS, BREAKER_FAILURES, Counted, Counters, LATENCY_FLOOR, Load, Tier,
};
pub use endpoint::{Endpoint, TCP, UDP};
pub use flows::{FLOWS, Flow, Flows};
pub use forward::*;
pub use handshakes::{Handshakes, LATENCY_BUCKETS};
pub use latency::{Latency, TICK_NS, ticks};
pub use layout::{FLOW_MAPS, MAPS, MapShape, Meta, fingerprint, flow_fingerprint};
pub use networks::Networks;
pub use peer::{Peer, Stage};
pub use pick::{Drawn, Pool, RESCUES, Settled, draw, place, rescue, settle};
pub use policy::Policy;
pub use vip::Vip;

/// Most VIPs one agent holds.
pub const MAX_VIPS: usize = 32_768;

/// Most backends, summed over all VIPs, one agent holds. During a change the old and the
/// new backends of the VIPs that change exist side by side.
pub const MAX_BACKENDS: usize = 262_144;

/// Most backends, summed over all VIPs, that are counted. Their counters lie in arrays, so that
/// a choice between two backends has them without a search.
pub const MAX_COUNTERS: usize = 131_072;

/// Connections to VIPs that have their place in one map; those beyond have it in their
/// sockets, at the price of an allocation.
pub const MAX_CONNECTIONS: usize = 32_768;

const _: () = assert!(MAX_CONNECTIONS.is_power_of_two(), "a place is found without a division");
