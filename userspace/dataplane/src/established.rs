//! What became of connections after their handshakes.

use std::time::Duration;

use muster_packet::Handshakes;
use serde::{Deserialize, Serialize};

/// What became of established TCP connections to a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Established {
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Connections that the backend's side ended by a reset, or that probes found dead.
    pub resets: u64,
    /// Connections that were given up because what was sent was never acknowledged.
    pub expired: u64,
    /// Connections whose end was seen, these among them.
    pub ended: u64,
    /// Their smoothed round trip times at the end together, in us.
    pub rtt_sum_us: u64,
}

// === impl Established ===

impl Established {
    /// The mean of the round trip times. `None` if no end was seen.
    pub fn rtt(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.rtt_sum_us.checked_div(self.ended)?))
    }

    /// Of both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            retransmits: self.retransmits + other.retransmits,
            resets: self.resets + other.resets,
            expired: self.expired + other.expired,
            ended: self.ended + other.ended,
            rtt_sum_us: self.rtt_sum_us + other.rtt_sum_us,
        }
    }
}

impl From<&Handshakes> for Established {
    fn from(of: &Handshakes) -> Self {
        Self {
            retransmits: of.retransmits,
            resets: of.resets,
            expired: of.expired,
            ended: of.ended,
            rtt_sum_us: of.rtt_sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_have_counted_is_added_up() {
        let one = Established { retransmits: 1, resets: 2, expired: 3, ended: 4, rtt_sum_us: 50 };
        let both = one.and(&one);
        assert_eq!((both.retransmits, both.resets, both.expired, both.ended), (2, 4, 6, 8));
        assert_eq!(both.rtt(), Some(Duration::from_micros(12)));
        assert_eq!(Established::default().rtt(), None);
    }
}
