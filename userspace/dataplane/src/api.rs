//! minuteman's JSON, field by field (DC/OS 1.8).

use std::collections::BTreeMap;

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

// === impl VipsState ===

impl FromIterator<VipStatus> for VipsState {
    /// minuteman has no protocol in its keys: a TCP and a UDP VIP of one address are shown
    /// as one, and of a backend in both what is counted of TCP.
    fn from_iter<I: IntoIterator<Item = VipStatus>>(vips: I) -> Self {
        let mut state = Self::default();
        // TCP comes first.
        for vip in vips {
            let shown = state.vips.entry(vip.address.to_string()).or_default();
            for (address, backend) in backends(&vip) {
                shown.entry(address).or_insert(backend);
            }
        }
        state
    }
}

/// Backends of one VIP by address.
pub(crate) fn backends(vip: &VipStatus) -> impl Iterator<Item = (String, BackendState)> {
    vip.backends.iter().map(|backend| (backend.address.to_string(), backend.into()))
}

#[cfg(test)]
mod tests {
    use muster_api::muster::Protocol;
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
        assert_eq!(shown["10.0.0.1:53"].total_sucesses, 5);
        assert_eq!(shown["10.0.0.1:54"].total_sucesses, 8);
    }
}
