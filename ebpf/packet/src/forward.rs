//! The forwarded path: packets to VIPs that no `connect()` has turned into one to a backend.
//!
//! Three programs share it: `forward` (XDP, on the interfaces that such packets come by),
//! `forward_tc` (tc ingress of the same interfaces, for what XDP leaves to it, and where XDP cannot be
//! attached), and `reply` (tc egress of the same interfaces, for answers of backends on this machine).

mod answer;
#[cfg(any(test, feature = "user"))]
mod buffer;
#[cfg(any(test, feature = "user"))]
mod built;
#[cfg(any(test, feature = "user"))]
mod carry;
mod checksum;
mod decide;
mod forwarded;
mod forwarding;
mod headers;
#[cfg(any(test, feature = "user"))]
mod host;
mod known;
mod packet;
mod reject;
mod relay;
mod rewrite;
mod state;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;
mod tracked;
mod tuple;

pub use answer::{Answer, pair_in};
#[cfg(any(test, feature = "user"))]
pub use built::{Built, checksum};
pub use checksum::Difference;
pub use decide::{Side, Step, Verdict, World, follow, onward, open, proceed};
pub use forwarded::{Event, Forwarded};
pub use forwarding::{FIRST_PORT, Forwarding, LAST_PORT, MAX_BUCKETS, MAX_TRACKED};
#[cfg(any(test, feature = "user"))]
pub use headers::parse_ip_segment;
pub use headers::{
    ACK, Complaint, FARTHEST6, FIN, Interest, Ip, Parsed, Part, RST, SYN, Segment, interest, parse,
    parse_segment, parse_segment6, parse4, parse6,
};
#[cfg(any(test, feature = "user"))]
pub use host::{Host, Line, Neighbours, Outcome};
pub use known::{Known, KnownAddress, MAX_KNOWN};
pub use packet::Packet;
pub use reject::{MOST_SUMMED, Rejection, Resize, pay, reject};
pub use relay::{Relay, refuse, relay};
pub use rewrite::{rewrite, rewrite_error};
pub use state::{Phase, State, unit};
pub use table::{Entered, Found, Memory, claim, enter, leave};
pub use tracked::{Bucket, Tracked, WAYS};
pub use tuple::Tuple;
