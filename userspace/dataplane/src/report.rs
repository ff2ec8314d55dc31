//! Everything there is to tell of VIPs, in JSON of our own: `/monitor/vips` of the agent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use muster_api::muster::Protocol;
use muster_packet::{Policy, Tier};
use serde::{Deserialize, Serialize};

use crate::{
    BackendStatus, DataPlane, Established, Latencies, Skips, Snapshot, VipStatus,
    looking::{Shared, survey},
};

/// `/monitor/vips` of a data plane: a [`Report`].
pub fn monitor_router(plane: Arc<Mutex<DataPlane>>) -> Router {
    Router::new().route("/monitor/vips", get(report)).with_state(plane)
}

async fn report(State(plane): State<Shared>) -> Response {
    survey(plane, |all| Json(Report::from(&all))).await.into_response()
}

/// What an agent's data plane does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every VIP, sorted by address.
    pub vips: Vec<VipReport>,
    /// What of the cluster view is not applied.
    #[serde(default)]
    pub skipped: SkippedReport,
    /// What became of other machines' packets to VIPs, in numbers by name; empty where they are not
    /// forwarded.
    #[serde(default)]
    pub forwarded: BTreeMap<String, u64>,
    /// What the kernel lacks, and what is different for want of it.
    #[serde(default)]
    pub lacking: Vec<String>,
}

/// A VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipReport {
    /// `<address>:<port>`.
    pub vip: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Its name in the cluster; null for a VIP that was given by its address, and before the
    /// agent has heard from the master.
    pub name: Option<String>,
    /// By what its backends are chosen: `p2c-ewma`.
    pub policy: Option<String>,
    /// Its backends.
    pub backends: Vec<BackendReport>,
}

/// A backend, and what became of this agent's connections to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendReport {
    /// `<address>:<port>`.
    pub backend: String,
    /// 0 drains.
    pub weight: u32,
    /// `up`, `maybe-up`, `down`, or `draining`.
    pub tier: String,
    /// Handshakes under way.
    pub pending: u64,
    /// Handshakes begun; for UDP, flows.
    pub started: u64,
    /// Handshakes completed in time; for UDP, flows.
    pub successes: u64,
    /// Handshakes that failed.
    pub failures: u64,
    /// Of those, the ones that were answered by a reset or an ICMP error.
    pub refused: u64,
    /// Of those, the ones that were not answered in time.
    pub timeouts: u64,
    /// The moving average that choices go by; null if nothing is known.
    pub average_ns: Option<u64>,
    /// How long handshakes took since the backend is counted.
    pub latency: Latencies,
    /// What became of connections after their handshakes.
    #[serde(default)]
    pub established: Established,
}

/// What of the cluster view is not applied, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedReport {
    /// VIPs or backends that a map has no room for, by map.
    pub full: BTreeMap<String, usize>,
    /// That could not be written for another reason.
    pub failed: usize,
    /// That are left out for a field that is impossible or not supported.
    pub invalid: usize,
}

impl From<&Snapshot> for Report {
    fn from(all: &Snapshot) -> Self {
        let forwarded = all.forwarded.iter().map(|(name, count)| ((*name).to_owned(), *count));
        Self {
            vips: all.vips.iter().map(VipReport::from).collect(),
            skipped: (&all.skips).into(),
            forwarded: forwarded.collect(),
            lacking: all.lacking.clone(),
        }
    }
}

impl From<&VipStatus> for VipReport {
    fn from(vip: &VipStatus) -> Self {
        Self {
            vip: vip.address.to_string(),
            protocol: if vip.protocol == Protocol::Udp { "udp" } else { "tcp" }.to_owned(),
            name: vip.name.clone(),
            policy: vip.policy.map(Policy::name).map(str::to_owned),
            backends: vip.backends.iter().map(BackendReport::from).collect(),
        }
    }
}

impl From<&BackendStatus> for BackendReport {
    fn from(backend: &BackendStatus) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let tier = match backend.tier {
            _ if backend.weight == 0 => "draining",
            Tier::Up => "up",
            Tier::MaybeUp => "maybe-up",
            Tier::Down => "down",
        };
        Self {
            backend: backend.address.to_string(),
            weight: backend.weight,
            tier: tier.to_owned(),
            pending: backend.pending,
            started: backend.started,
            successes: backend.successes,
            failures: backend.failures,
            refused: backend.refused,
            timeouts: backend.timeouts,
            average_ns: backend.latency.map(ns),
            latency: backend.latencies,
            established: backend.established,
        }
    }
}

impl From<&Skips> for SkippedReport {
    fn from(skips: &Skips) -> Self {
        let full = skips.full.iter().map(|(map, count)| ((*map).to_owned(), *count));
        Self { full: full.collect(), failed: skips.failed, invalid: skips.invalid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::testing::{backend, vip};

    #[test]
    fn report_is_read_as_it_was_written() {
        let mut draining = backend(2, 0);
        draining.weight = 0;
        let vips = vec![vip(80, Protocol::Tcp, vec![backend(1, 3), draining])];
        let report = Report::from(&Snapshot { vips, ..Snapshot::default() });
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
        let shown = &shown["vips"][0];
        assert_eq!((&shown["vip"], &shown["policy"]), (&"11.0.0.1:80".into(), &"p2c-ewma".into()));
        assert_eq!(shown["backends"][0]["latency"]["count"], 3);
        assert_eq!(shown["backends"][0]["tier"], "up");
        assert_eq!(shown["backends"][1]["tier"], "draining");
    }
}
