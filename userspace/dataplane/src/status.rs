//! What the maps say, for people and programs to read.

use std::{
    net::{SocketAddr, SocketAddrV4},
    time::Duration,
};

use muster_api::muster::Protocol;
use muster_packet::{
    Backend, Counters, Endpoint, Handshakes, Policy, TICK_NS, Tier, UDP, Vip as Entry,
};

use crate::{Established, Latencies};

/// A VIP as the kernel serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// What it is called, if the view has been applied since the agent started and gives it a
    /// name: `web.marathon.l4lb.thisdcos.directory`.
    pub name: Option<String>,
    /// By what its backends are chosen; `None` if another build wrote it.
    pub policy: Option<Policy>,
    /// Its backends: those that take connections, then the draining ones.
    pub backends: Vec<BackendStatus>,
}

/// A backend of a VIP, and what became of this agent's connections to the VIP that it got. What choices go by
/// ([`tier`](Self::tier), [`latency`](Self::latency)) is the backend's in all VIPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// As in the view; 0 drains.
    pub weight: u32,
    /// True if it takes connections: it is not draining, and its breaker is closed (fewer
    /// than 5 failures in a row, or 30 s since the last).
    pub healthy: bool,
    /// Whether it gets new connections, as far as its breaker is concerned.
    pub tier: Tier,
    /// Handshakes under way.
    pub pending: u64,
    /// Handshakes begun; for UDP, flows.
    pub started: u64,
    /// Handshakes completed; for UDP, flows begun.
    pub successes: u64,
    /// Connections that closed before the handshake was complete, or whose SYN was not
    /// answered in time.
    pub failures: u64,
    /// Of the failures, those that were answered by a reset or an ICMP error.
    pub refused: u64,
    /// Of the failures, those that were not answered in time.
    pub timeouts: u64,
    /// How long handshakes took since it is counted.
    pub latencies: Latencies,
    /// What became of connections after their handshakes.
    pub established: Established,
    /// How long handshakes take, as choices go by it: a moving average that fades when
    /// nothing is measured. `None` if nothing is known.
    pub latency: Option<Duration>,
}

/// What the maps have of a VIP's backend: what is known of it, and what is counted of it in the VIP.
pub(crate) type Known = (Counters, Handshakes);

// === impl BackendStatus ===

impl BackendStatus {
    /// From what the maps hold, at a time of `CLOCK_MONOTONIC` in ns.
    pub(crate) fn new(slot: &Backend, counted: Option<&Known>, now_ns: u64) -> Self {
        // Others' counters, or none, are those of a backend of which nothing is known.
        let counted =
            counted.filter(|(known, shown)| known.backend == slot.backend && shown.vip == slot.vip);
        let (counters, handshakes) = counted.copied().unwrap_or_default();
        let latency = counters.latency.at(now_ns);
        Self {
            address: slot.backend.socket_address(),
            weight: slot.weight,
            healthy: slot.weight > 0 && counters.admits(now_ns),
            tier: counters.tier(now_ns),
            pending: handshakes.pending(),
            started: handshakes.started,
            successes: handshakes.successes,
            failures: handshakes.failures,
            refused: handshakes.refused,
            timeouts: handshakes.timeouts,
            latencies: Latencies::from(&handshakes),
            established: Established::from(&handshakes),
            latency: (latency > 0).then(|| Duration::from_nanos(u64::from(latency) * TICK_NS)),
        }
    }
}

/// By what a VIP's backends are chosen.
pub(crate) fn policy(entry: &Entry) -> Option<Policy> {
    Policy::ALL.into_iter().find(|policy| policy.number() == entry.policy)
}

/// The address of an IPv4 endpoint; `None` of an IPv6 one.
pub(crate) fn v4(endpoint: &Endpoint) -> Option<SocketAddrV4> {
    Some(SocketAddrV4::new(endpoint.ipv4()?.into(), endpoint.port))
}

pub(crate) fn protocol(endpoint: Endpoint) -> Protocol {
    if endpoint.protocol == UDP { Protocol::Udp } else { Protocol::Tcp }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// 11.0.0.1 at this port.
    pub(crate) fn vip(port: u16, protocol: Protocol, backends: Vec<BackendStatus>) -> VipStatus {
        VipStatus {
            address: format!("11.0.0.1:{port}").parse().unwrap(),
            protocol,
            name: None,
            policy: Some(Policy::default()),
            backends,
        }
    }

    /// A slot of its own VIP.
    pub(super) fn slot(end: Endpoint, weight: u32) -> Backend {
        Backend { vip: end, backend: end, threshold: u32::MAX, weight, counter: 0, alias: 0 }
    }

    /// 10.0.0.1 at this port, with so many successes in a microsecond each.
    pub(crate) fn backend(port: u16, successes: u64) -> BackendStatus {
        let end = Endpoint::v4([10, 0, 0, 1], port, muster_packet::TCP);
        let slot = slot(end, 1);
        let mut handshakes = Handshakes::new(end, 0);
        (handshakes.started, handshakes.successes) = (successes, successes);
        (handshakes.sum, handshakes.latency[0]) = (successes, successes);
        BackendStatus::new(&slot, Some(&(Counters::new(end, 0), handshakes)), 0)
    }
}

#[cfg(test)]
mod tests {
    use muster_packet::TCP;

    use super::*;

    fn slot(weight: u32) -> Backend {
        testing::slot(Endpoint::v4([10, 0, 0, 1], 80, TCP), weight)
    }

    #[test]
    fn healthy_is_neither_draining_nor_failing() {
        let now = 60_000_000_000;
        let mut failing = Counters::new(slot(1).backend, 0);
        (failing.consecutive_failures, failing.last_failure_ns) = (5, now);
        assert!(BackendStatus::new(&slot(1), None, now).healthy);
        assert!(!BackendStatus::new(&slot(0), None, now).healthy);
        let failing = (failing, Handshakes::new(slot(1).vip, 0));
        assert!(!BackendStatus::new(&slot(1), Some(&failing), now).healthy);
        assert!(BackendStatus::new(&slot(1), Some(&failing), now + 30_000_000_001).healthy);
    }

    #[test]
    fn what_is_counted_of_another_vip_is_not_shown() {
        let mut counted = Handshakes::new(slot(1).vip, 0);
        (counted.started, counted.successes) = (3, 2);
        let shown = |slot: &Backend| {
            let known = (Counters::new(slot.backend, 0), counted);
            let shown = BackendStatus::new(slot, Some(&known), 0);
            (shown.started, shown.successes, shown.pending)
        };
        assert_eq!(shown(&slot(1)), (3, 2, 1));
        let other = Backend { vip: Endpoint::v4([11, 0, 0, 2], 80, TCP), ..slot(1) };
        assert_eq!(shown(&other), (0, 0, 0));
    }
}
