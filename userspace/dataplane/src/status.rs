//! What the maps say, for people and programs to read.

use std::{net::SocketAddr, time::Duration};

use muster_api::muster::Protocol;
use muster_packet::{Backend, Counters, Endpoint, TICK_NS, UDP};

/// A VIP as the kernel serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its backends: those that take connections, then the draining ones.
    pub backends: Vec<BackendStatus>,
}

/// A backend, and what became of this agent's connections to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// As in the view; 0 drains.
    pub weight: u32,
    /// True if it takes connections: it is not draining, and its breaker is closed (fewer
    /// than 5 failures in a row, or 30 s since the last).
    pub healthy: bool,
    /// Handshakes under way.
    pub pending: u64,
    /// Handshakes completed; for UDP, flows begun.
    pub successes: u64,
    /// Connections that closed before the handshake was complete, or whose SYN was not
    /// answered in time.
    pub failures: u64,
    /// How long handshakes take, as choices go by it: a moving average that fades when
    /// nothing is measured. `None` if nothing is known.
    pub latency: Option<Duration>,
}

// === impl BackendStatus ===

impl BackendStatus {
    /// From what the maps hold, at a time of `CLOCK_MONOTONIC` in ns.
    pub(crate) fn new(slot: &Backend, counters: Option<Counters>, now_ns: u64) -> Self {
        // Others' counters, or none, are those of a backend of which nothing is known.
        let counters = counters.filter(|of| of.backend == slot.backend).unwrap_or_default();
        let latency = counters.latency.at(now_ns);
        Self {
            address: slot.backend.socket_address(),
            weight: slot.weight,
            healthy: slot.weight > 0 && counters.admits(now_ns),
            pending: counters.pending(),
            successes: counters.successes,
            failures: counters.failures,
            latency: (latency > 0).then(|| Duration::from_nanos(u64::from(latency) * TICK_NS)),
        }
    }
}

pub(crate) fn protocol(endpoint: Endpoint) -> Protocol {
    if endpoint.protocol == UDP { Protocol::Udp } else { Protocol::Tcp }
}

#[cfg(test)]
mod tests {
    use muster_packet::TCP;

    use super::*;

    fn slot(weight: u32) -> Backend {
        let end = Endpoint::v4([10, 0, 0, 1], 80, TCP);
        Backend { vip: end, backend: end, threshold: u32::MAX, weight, counter: 0, alias: 0 }
    }

    #[test]
    fn healthy_is_neither_draining_nor_failing() {
        let now = 60_000_000_000;
        let failing = Counters {
            consecutive_failures: 5,
            last_failure_ns: now,
            ..Counters::new(slot(1).backend)
        };
        assert!(BackendStatus::new(&slot(1), None, now).healthy);
        assert!(!BackendStatus::new(&slot(0), None, now).healthy);
        assert!(!BackendStatus::new(&slot(1), Some(failing), now).healthy);
        assert!(BackendStatus::new(&slot(1), Some(failing), now + 30_000_000_001).healthy);
    }
}
