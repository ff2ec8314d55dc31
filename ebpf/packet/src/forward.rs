//! The forwarded path: packets to VIPs that no `connect()` has turned into one to a backend.
//!
//! Three programs share it: `forward` (XDP, on the interfaces that such packets come by),
//! `forward_tc` (tc ingress of the same interfaces, for what XDP leaves to it, and where XDP cannot be
//! attached), and `reply` (tc egress of the same interfaces, for answers of backends on this machine).

mod forwarded;
mod forwarding;
mod known;
mod tracked;

pub use forwarded::Forwarded;
pub use forwarding::{FIRST_PORT, Forwarding, LAST_PORT, MAX_BUCKETS, MAX_TRACKED};
pub use known::{Known, KnownAddress, MAX_KNOWN};
pub use tracked::{Bucket, Tracked, WAYS};
