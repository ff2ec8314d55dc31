//! A data plane's metrics in Prometheus' text format.

use std::{collections::BTreeSet, fmt, time::Duration};

use muster_api::muster::Protocol;
use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeMetric as _, NoLabelSet, prometheus_text,
    },
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::{BackendStatus, Established, Snapshot, VipStatus, forwarded::is_of_flows};

/// What the text is.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The text.
///
/// # Errors
/// None that a `String` can make.
pub(crate) fn text(all: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(all)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Snapshot);

/// A backend in a VIP.
struct Pair<'a> {
    labels: Vec<(&'static str, String)>,
    backend: &'a BackendStatus,
}

// === impl Metrics ===

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.gauges(&mut encoder)?;
        self.forwarded(&mut encoder)?;
        let pairs: Vec<_> = self.0.vips.iter().flat_map(pairs).collect();
        gauge(
            &mut encoder,
            "mm_connect_pending",
            "Handshakes under way.",
            pairs.iter().map(|pair| (pair.labels.clone(), pair.backend.pending)),
        )?;
        counter(
            &mut encoder,
            "mm_connect_successes",
            "Handshakes completed in time, and UDP flows.",
            pairs.iter().map(|pair| (pair.labels.clone(), pair.backend.successes)),
        )?;
        counter(
            &mut encoder,
            "mm_connect_failures",
            "Handshakes refused, not answered in time, or given up.",
            pairs.iter().flat_map(Pair::failures),
        )?;
        latencies(&mut encoder, &pairs)?;
        counter(
            &mut encoder,
            "mm_connection_retransmits",
            "Segments of established connections that were sent again.",
            pairs.iter().map(|pair| (pair.labels.clone(), pair.backend.established.retransmits)),
        )?;
        counter(
            &mut encoder,
            "mm_connection_ends",
            "Established connections whose end was seen.",
            pairs.iter().flat_map(Pair::ends),
        )?;
        counter(
            &mut encoder,
            "mm_connection_rtt_seconds",
            "Smoothed round trip times of those at their end, together.",
            pairs.iter().map(|pair| {
                let sum = Duration::from_micros(pair.backend.established.rtt_sum_us);
                (pair.labels.clone(), sum.as_secs_f64())
            }),
        )
    }
}

impl Metrics {
    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Snapshot { vips, skips, maps, .. } = &self.0;
        let backends: BTreeSet<_> = vips
            .iter()
            .flat_map(|vip| vip.backends.iter().map(|b| (b.address, vip.protocol)))
            .collect();
        let one = |count: usize| [(Vec::new(), count as u64)];
        gauge(encoder, "vips", "VIPs that are served.", one(vips.len()))?;
        gauge(encoder, "backends", "Backends of all VIPs.", one(backends.len()))?;
        let full = skips.full.values().sum();
        let reasons = [("map_full", full), ("failed", skips.failed), ("invalid", skips.invalid)];
        gauge(
            encoder,
            "vips_skipped",
            "VIPs and backends of the cluster view that are not applied.",
            reasons.map(|(reason, n)| (vec![("reason", reason.to_owned())], n as u64)),
        )?;
        let of_map = |map: &str, count: usize| (vec![("map", map.to_owned())], count as u64);
        gauge(
            encoder,
            "vip_map_skipped",
            "VIPs and backends for which a map has no room.",
            skips.by_map().map(|(map, count)| of_map(map, count)),
        )?;
        gauge(
            encoder,
            "vip_map_entries",
            "Entries in a map.",
            maps.iter().map(|map| of_map(map.name, map.entries)),
        )?;
        gauge(
            encoder,
            "vip_map_capacity",
            "Entries that a map has room for.",
            maps.iter().map(|map| of_map(map.name, map.capacity)),
        )
    }
}

impl Metrics {
    /// What became of packets of other machines, where they are forwarded.
    fn forwarded(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &self.0.forwarded;
        if counters.is_empty() {
            return Ok(());
        }
        let samples = |label: &'static str, of_flows: bool| {
            let counters = counters.iter().filter(move |(name, _)| is_of_flows(name) == of_flows);
            counters.map(move |(name, count)| (vec![(label, (*name).to_owned())], *count))
        };
        counter(
            encoder,
            "vip_forwarded_packets",
            "Packets of other machines to VIPs and their answers, by what became of them.",
            samples("result", false),
        )?;
        counter(
            encoder,
            "vip_forwarded_flows",
            "Flows of other machines to VIPs, by what happened to them.",
            samples("event", true),
        )
    }
}

// === impl Pair ===

impl Pair<'_> {
    fn failures(&self) -> [Sample; 3] {
        let BackendStatus { failures, refused, timeouts, .. } = *self.backend;
        let given_up = failures.saturating_sub(refused).saturating_sub(timeouts);
        self.reasons([("refused", refused), ("timeout", timeouts), ("given_up", given_up)])
    }

    fn ends(&self) -> [Sample; 3] {
        let Established { ended, resets, expired, .. } = self.backend.established;
        let closed = ended.saturating_sub(resets).saturating_sub(expired);
        self.reasons([("closed", closed), ("reset", resets), ("expired", expired)])
    }

    fn reasons(&self, counts: [(&str, u64); 3]) -> [Sample; 3] {
        counts.map(|(reason, n)| {
            let reason = std::iter::once(("reason", reason.to_owned()));
            (self.labels.iter().cloned().chain(reason).collect(), n)
        })
    }
}

/// The VIP's backends that something was connected to: an agent meets few of all that there
/// may be, and each has two dozen lines.
fn pairs(vip: &VipStatus) -> impl Iterator<Item = Pair<'_>> {
    let protocol = if vip.protocol == Protocol::Udp { "udp" } else { "tcp" };
    vip.backends.iter().filter(|backend| backend.started > 0).map(move |backend| Pair {
        labels: vec![
            ("vip", vip.address.to_string()),
            ("protocol", protocol.to_owned()),
            ("name", vip.name.clone().unwrap_or_default()),
            ("backend", backend.address.to_string()),
        ],
        backend,
    })
}

type Sample<N = u64> = (Vec<(&'static str, String)>, N);

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counter<N: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<N>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Histograms of those that have handshakes: UDP has none.
fn latencies(encoder: &mut DescriptorEncoder<'_>, pairs: &[Pair<'_>]) -> fmt::Result {
    let help = "How long completed handshakes took, late ones too.";
    let name = "mm_connect_latency_seconds";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for pair in pairs.iter().filter(|pair| pair.backend.latencies.count() > 0) {
        let latencies = &pair.backend.latencies;
        let bound = |bound: Option<Duration>| bound.map_or(f64::INFINITY, |b| b.as_secs_f64());
        let buckets: Vec<_> = latencies.buckets().map(|(b, count)| (bound(b), count)).collect();
        family.encode_family(&pair.labels)?.encode_histogram::<NoLabelSet>(
            latencies.sum().as_secs_f64(),
            latencies.count(),
            &buckets,
            None,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Skips,
        status::testing::{backend, vip},
    };

    fn lines(all: Snapshot) -> Vec<String> {
        let text = text(all).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn what_was_connected_to_has_counters_and_a_histogram() {
        let mut used = backend(1, 7);
        (used.failures, used.refused, used.timeouts, used.pending) = (6, 1, 2, 4);
        used.established =
            Established { retransmits: 8, resets: 1, expired: 2, ended: 6, rtt_sum_us: 1500 };
        let mut web = vip(80, Protocol::Tcp, vec![used, backend(2, 0)]);
        web.name = Some("web.marathon.l4lb.thisdcos.directory".into());
        let lines = lines(Snapshot { vips: vec![web], ..Snapshot::default() });
        let labels = "vip=\"11.0.0.1:80\",protocol=\"tcp\",name=\"web.marathon.l4lb.thisdcos.directory\",backend=\"10.0.0.1:1\"";
        for line in [
            "vips 1".to_owned(),
            "backends 2".to_owned(),
            format!("mm_connect_pending{{{labels}}} 4"),
            format!("mm_connect_successes_total{{{labels}}} 7"),
            format!("mm_connect_failures_total{{{labels},reason=\"refused\"}} 1"),
            format!("mm_connect_failures_total{{{labels},reason=\"timeout\"}} 2"),
            format!("mm_connect_failures_total{{{labels},reason=\"given_up\"}} 3"),
            format!("mm_connect_latency_seconds_count{{{labels}}} 7"),
            format!("mm_connection_retransmits_total{{{labels}}} 8"),
            format!("mm_connection_ends_total{{{labels},reason=\"closed\"}} 3"),
            format!("mm_connection_ends_total{{{labels},reason=\"reset\"}} 1"),
            format!("mm_connection_ends_total{{{labels},reason=\"expired\"}} 2"),
            format!("mm_connection_rtt_seconds_total{{{labels}}} 0.0015"),
        ] {
            assert!(lines.contains(&line), "{line}: {lines:#?}");
        }
        let inf = "le=\"+Inf\"} 7";
        assert_eq!(lines.iter().filter(|line| line.ends_with(inf)).count(), 1, "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("10.0.0.1:2")));
    }

    #[test]
    fn forwarded_packets_and_flows_are_told_apart() {
        let forwarded = vec![("local", 3), ("full", 0), ("opened", 2)];
        let lines = lines(Snapshot { forwarded, ..Snapshot::default() });
        for line in [
            "vip_forwarded_packets_total{result=\"local\"} 3",
            "vip_forwarded_packets_total{result=\"full\"} 0",
            "vip_forwarded_flows_total{event=\"opened\"} 2",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
        }
        assert!(!self::lines(Snapshot::default()).iter().any(|line| line.contains("forwarded")));
    }

    #[test]
    fn full_maps_are_named() {
        let mut skips = Skips { invalid: 2, ..Skips::default() };
        skips.full.insert("vips", 3);
        let maps = vec![crate::MapUse { name: "vips", entries: 32_768, capacity: 32_768 }];
        let lines = lines(Snapshot { skips, maps, ..Snapshot::default() });
        for line in [
            "vips_skipped{reason=\"map_full\"} 3",
            "vips_skipped{reason=\"invalid\"} 2",
            "vips_skipped{reason=\"failed\"} 0",
            "vip_map_skipped{map=\"vips\"} 3",
            "vip_map_skipped{map=\"backends\"} 0",
            "vip_map_entries{map=\"vips\"} 32768",
            "vip_map_capacity{map=\"vips\"} 32768",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
        }
    }
}
