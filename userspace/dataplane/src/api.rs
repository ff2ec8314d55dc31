//! minuteman's JSON, field by field (DC/OS 1.8).

use std::collections::{BTreeMap, btree_map::Entry};

use muster_api::muster::Protocol;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{BackendStatus, VipStatus};

/// What minuteman tells of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendState {
    /// Handshakes under way.
    pub pending_connections: u64,
    /// Connections that closed before the handshake was complete.
    pub total_failures: u64,
    /// Handshakes completed. The spelling is minuteman's.
    pub total_sucesses: u64,
    /// True if new connections may be sent to it.
    pub is_healthy: bool,
    /// A histogram in minuteman's code, but always empty in what 1.8 answers; and what is
    /// counted here is counted from the beginning, not of the last minute.
    pub latency_last_60s: Map<String, Value>,
}

/// Backends of a VIP by `<ip>:<port>`, `[<ip>]:<port>` for IPv6: the answer of `/vip/<ip>:<port>`.
pub type VipState = BTreeMap<String, BackendState>;

/// The answer of `/vips`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VipsState {
    /// VIPs by `<ip>:<port>`, `[<ip>]:<port>` for IPv6.
    pub vips: BTreeMap<String, VipState>,
}

// === impl BackendState ===

impl From<&BackendStatus> for BackendState {
    fn from(backend: &BackendStatus) -> Self {
        Self {
            pending_connections: backend.pending,
            total_failures: backend.failures,
            total_sucesses: backend.successes,
            is_healthy: backend.healthy,
            latency_last_60s: Map::new(),
        }
    }
}

impl BackendState {
    /// Adds the connections of another of the backend's VIPs.
    fn add(&mut self, other: &Self) {
        self.pending_connections += other.pending_connections;
        self.total_failures += other.total_failures;
        self.total_sucesses += other.total_sucesses;
    }
}

// === impl VipsState ===

impl FromIterator<VipStatus> for VipsState {
    /// minuteman has no protocol in its keys: a TCP and a UDP VIP of one address are shown
    /// as one.
    fn from_iter<I: IntoIterator<Item = VipStatus>>(vips: I) -> Self {
        let mut by_address = BTreeMap::<String, Vec<VipStatus>>::new();
        for vip in vips {
            by_address.entry(vip.address.to_string()).or_default().push(vip);
        }
        let vips = by_address.into_iter();
        Self {
            vips: vips
                .map(|(address, of)| (address, state(of.iter().flat_map(backends))))
                .collect(),
        }
    }
}

/// Backends of a VIP, each with the VIP's protocol.
pub(crate) fn backends(vip: &VipStatus) -> impl Iterator<Item = (Protocol, &BackendStatus)> {
    vip.backends.iter().map(|backend| (vip.protocol, backend))
}

/// Backends by address, each with its connections to all VIPs that it is given with. It is healthy if new connections of
/// each protocol that it is in may be sent to it, in some VIP.
pub(crate) fn state<'a>(
    backends: impl IntoIterator<Item = (Protocol, &'a BackendStatus)>,
) -> VipState {
    let mut of_protocols = BTreeMap::<_, BackendState>::new();
    for (protocol, backend) in backends {
        let more = BackendState::from(backend);
        match of_protocols.entry((backend.address, protocol)) {
            Entry::Vacant(place) => drop(place.insert(more)),
            Entry::Occupied(mut known) => {
                known.get_mut().add(&more);
                known.get_mut().is_healthy |= more.is_healthy;
            }
        }
    }
    let mut state = VipState::new();
    for ((address, _), more) in of_protocols {
        match state.entry(address.to_string()) {
            Entry::Vacant(place) => drop(place.insert(more)),
            Entry::Occupied(mut known) => {
                known.get_mut().add(&more);
                known.get_mut().is_healthy &= more.is_healthy;
            }
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::status::testing;

    /// With one handshake under way and three that failed.
    fn backend(port: u16, successes: u64) -> BackendStatus {
        BackendStatus { pending: 1, failures: 3, ..testing::backend(port, successes) }
    }

    #[test]
    fn vips_are_minutemans_json() {
        let state: VipsState = [
            testing::vip(80, Protocol::Tcp, vec![backend(31000, 2)]),
            testing::vip(81, Protocol::Tcp, vec![]),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            serde_json::to_value(state).unwrap(),
            json!({"vips": {
                "11.0.0.1:80": {"10.0.0.1:31000": {
                    "pending_connections": 1,
                    "total_failures": 3,
                    "total_sucesses": 2,
                    "is_healthy": true,
                    "latency_last_60s": {},
                }},
                "11.0.0.1:81": {},
            }})
        );
    }

    #[test]
    fn protocols_of_one_address_are_merged() {
        let vip = |protocol, backends| testing::vip(53, protocol, backends);
        let state: VipsState = [
            vip(Protocol::Tcp, vec![backend(53, 5)]),
            vip(Protocol::Udp, vec![backend(53, 7), backend(54, 8)]),
        ]
        .into_iter()
        .collect();
        let shown = &state.vips["11.0.0.1:53"];
        let counted = |backend: &str| {
            let BackendState { total_sucesses, total_failures, pending_connections, .. } =
                shown[backend];
            (total_sucesses, total_failures, pending_connections)
        };
        assert_eq!(counted("10.0.0.1:53"), (12, 6, 2));
        assert_eq!(counted("10.0.0.1:54"), (8, 3, 1));
    }

    #[test]
    fn backend_is_healthy_if_each_protocol_may_be_sent_to_it_in_some_vip() {
        let down = BackendStatus { healthy: false, ..backend(1, 1) };
        let healthy =
            |of: &[(Protocol, &BackendStatus)]| state(of.iter().copied())["10.0.0.1:1"].is_healthy;
        let (tcp, udp, up) = (Protocol::Tcp, Protocol::Udp, &backend(1, 1));
        assert!(healthy(&[(tcp, &down), (tcp, up)]));
        assert!(!healthy(&[(tcp, &down), (udp, up)]));
        assert!(!healthy(&[(tcp, &down), (tcp, &down)]));
    }
}
