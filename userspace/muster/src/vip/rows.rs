//! VIPs and backends as rows of tables.

use std::time::Duration;

use muster_dataplane::{BackendReport, Latencies, VipReport};

/// What is shown where there is nothing.
const NONE: &str = "-";

/// A VIP a row, below a head.
pub(super) fn vips(vips: &[VipReport]) -> Vec<[String; 10]> {
    let head = [
        "NAME",
        "VIP",
        "PROTO",
        "POLICY",
        "BACKENDS",
        "PENDING",
        "SUCCESSES",
        "FAILURES",
        "P50",
        "P99",
    ];
    let row = |vip: &VipReport| {
        let latencies = latencies(vip);
        [
            name(vip),
            vip.vip.clone(),
            vip.protocol.clone(),
            vip.policy.clone().unwrap_or_else(|| NONE.into()),
            up(vip),
            sum(vip, |backend| backend.pending).to_string(),
            sum(vip, |backend| backend.successes).to_string(),
            sum(vip, |backend| backend.failures).to_string(),
            quantile(&latencies, 0.5),
            quantile(&latencies, 0.99),
        ]
    };
    std::iter::once(head.map(str::to_owned)).chain(vips.iter().map(row)).collect()
}

/// A backend a row, below a head.
pub(super) fn backends(vip: &VipReport) -> Vec<[String; 15]> {
    let head = [
        "BACKEND",
        "WEIGHT",
        "HEALTH",
        "PENDING",
        "SUCCESSES",
        "FAILURES",
        "REFUSED",
        "TIMEOUTS",
        "MEAN",
        "P50",
        "P99",
        "RESENT",
        "RESET",
        "EXPIRED",
        "RTT",
    ];
    let row = |backend: &BackendReport| {
        [
            backend.backend.clone(),
            backend.weight.to_string(),
            backend.tier.clone(),
            backend.pending.to_string(),
            backend.successes.to_string(),
            backend.failures.to_string(),
            backend.refused.to_string(),
            backend.timeouts.to_string(),
            time(backend.latency.mean()),
            quantile(&backend.latency, 0.5),
            quantile(&backend.latency, 0.99),
            backend.established.retransmits.to_string(),
            backend.established.resets.to_string(),
            backend.established.expired.to_string(),
            time(backend.established.rtt()),
        ]
    };
    std::iter::once(head.map(str::to_owned)).chain(vip.backends.iter().map(row)).collect()
}

/// A VIP in a line.
pub(super) fn title(vip: &VipReport) -> String {
    let policy = vip.policy.as_deref().unwrap_or(NONE);
    format!("{}  {}/{}  {policy}", name(vip), vip.vip, vip.protocol)
}

pub(super) fn name(vip: &VipReport) -> String {
    vip.name.clone().unwrap_or_else(|| NONE.into())
}

/// How many of the backends take connections.
pub(super) fn up(vip: &VipReport) -> String {
    let up = vip.backends.iter().filter(|backend| backend.tier == "up").count();
    format!("{up}/{}", vip.backends.len())
}

pub(super) fn sum(vip: &VipReport, of: impl Fn(&BackendReport) -> u64) -> u64 {
    vip.backends.iter().map(of).sum()
}

pub(super) fn latencies(vip: &VipReport) -> Latencies {
    vip.backends.iter().fold(Latencies::default(), |all, backend| all.and(&backend.latency))
}

pub(super) fn quantile(latencies: &Latencies, fraction: f64) -> String {
    time(latencies.quantile(fraction))
}

/// As for people, with as many digits as mean something.
fn time(time: Option<Duration>) -> String {
    let Some(time) = time else { return NONE.into() };
    let us = time.as_secs_f64() * 1e6;
    match us {
        ..1e3 => format!("{us:.0}us"),
        1e3..1e6 => format!("{:.1}ms", us / 1e3),
        _ => format!("{:.1}s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn web() -> VipReport {
        let backend = |address: &str, tier: &str, buckets: serde_json::Value| {
            json!({
                "backend": address, "weight": 1, "tier": tier, "pending": 1, "started": 12,
                "successes": 8, "failures": 3, "refused": 2, "timeouts": 1, "average_ns": null,
                "latency": {"count": 0, "sum_ns": 160_000, "buckets": buckets},
                "established": {"retransmits": 4, "resets": 1, "expired": 0, "ended": 5, "rtt_sum_us": 250},
            })
        };
        serde_json::from_value(json!({
            "vip": "11.0.0.1:80", "protocol": "tcp", "name": "web.marathon", "policy": null,
            "backends": [
                backend("10.0.0.1:31000", "up", json!([{"below_ns": 32_768, "count": 8}])),
                backend("10.0.0.2:31000", "down", json!([])),
            ],
        }))
        .unwrap()
    }

    #[test]
    fn a_vip_is_a_row() {
        let rows = vips(&[web()]);
        let expected =
            ["web.marathon", "11.0.0.1:80", "tcp", "-", "1/2", "2", "16", "6", "25us", "33us"];
        assert_eq!(rows[1], expected);
        assert_eq!(rows[0].len(), expected.len());
    }

    #[test]
    fn a_backend_is_a_row() {
        let rows = backends(&web());
        assert_eq!(
            rows[1],
            [
                "10.0.0.1:31000",
                "1",
                "up",
                "1",
                "8",
                "3",
                "2",
                "1",
                "20us",
                "25us",
                "33us",
                "4",
                "1",
                "0",
                "50us"
            ]
        );
        assert_eq!(rows[2][8..11], ["-", "-", "-"]);
        assert_eq!(title(&web()), "web.marathon  11.0.0.1:80/tcp  -");
    }

    #[test]
    fn times_are_for_people() {
        let shown = [1_500, 23_000, 999_000, 1_250_000, 1_073_741_824, 61_000_000_000];
        let shown = shown.map(|ns| time(Some(Duration::from_nanos(ns))));
        assert_eq!(shown, ["2us", "23us", "999us", "1.2ms", "1.1s", "61.0s"]);
    }
}
