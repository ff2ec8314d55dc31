//! minuteman's `/metrics`: one flat object, a member for each metric, named by its parts and
//! its type joined by `_`, with exometer's data points and the type in it.
//!
//! There are those of minuteman's names that mean something here, and a few of our own.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use crate::{BackendStatus, Established, Latencies, Snapshot};

/// What was counted of one backend, or of all.
#[derive(Default)]
struct Counts {
    started: u64,
    successes: u64,
    failures: u64,
    refused: u64,
    timeouts: u64,
    latencies: Latencies,
    established: Established,
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, more: &BackendStatus) {
        self.started += more.started;
        self.successes += more.successes;
        self.failures += more.failures;
        self.refused += more.refused;
        self.timeouts += more.timeouts;
        self.latencies = self.latencies.and(&more.latencies);
        self.established = self.established.and(&more.established);
    }
}

/// All metrics by name. A backend has some as soon as something was connected to it: what is counted in all of its
/// VIPs, of both protocols.
pub(crate) fn metrics(all: &Snapshot) -> Map<String, Value> {
    let mut backends = BTreeMap::<_, Counts>::new();
    let mut total = Counts::default();
    for backend in all.vips.iter().flat_map(|vip| &vip.backends) {
        if backend.started > 0 {
            total.add(backend);
            backends.entry(backend.address).or_default().add(backend);
        }
    }
    let mut metrics = Map::new();
    let mut set = |name: String, kind: &str, mut points: Map<String, Value>| {
        points.insert("type".to_owned(), kind.into());
        metrics.entry(format!("{name}_{kind}")).or_insert(Value::Object(points));
    };
    for (name, count) in [
        ("observed_conns", total.started),
        ("successes", total.successes),
        ("timeouts", total.timeouts),
        ("failures", total.failures),
        ("refused", total.refused),
        ("retransmits", total.established.retransmits),
        ("resets", total.established.resets),
        ("expired", total.established.expired),
    ] {
        set(name.to_owned(), "counter", value(count));
    }
    set("connect_latency".to_owned(), "histogram", histogram(&total.latencies));
    for (address, backend) in backends {
        let name = |what: &str| format!("backend_{address}_{what}");
        set(name("successes"), "counter", value(backend.successes));
        set(name("failures"), "counter", value(backend.failures));
        set(name("retransmits"), "counter", value(backend.established.retransmits));
        set(name("connect_latency"), "histogram", histogram(&backend.latencies));
    }
    set("vips".to_owned(), "gauge", value(all.vips.len() as u64));
    set("skipped".to_owned(), "gauge", value(all.skips.total() as u64));
    for (map, skipped) in all.skips.by_map() {
        set(format!("map_{map}_skipped"), "gauge", value(skipped as u64));
    }
    for (name, count) in &all.forwarded {
        set(format!("forwarded_{name}"), "counter", value(*count));
    }
    if let Some(flows) = all.maps.iter().find(|map| map.name == "tracked") {
        set("forwarded_flows".to_owned(), "gauge", value(flows.entries as u64));
    }
    metrics
}

fn value(number: u64) -> Map<String, Value> {
    Map::from_iter([("value".to_owned(), number.into())])
}

/// exometer's data points, in ns. What is not known of no handshakes is 0, as there.
fn histogram(of: &Latencies) -> Map<String, Value> {
    let ns = |time: Option<Duration>| json!(time.map_or(0, |time| time.as_nanos()));
    let mut points = Map::from_iter([
        ("n".to_owned(), json!(of.count())),
        ("mean".to_owned(), ns(of.mean())),
        ("min".to_owned(), ns(of.min())),
        ("max".to_owned(), ns(of.max())),
        ("median".to_owned(), ns(of.quantile(0.5))),
    ]);
    for (name, fraction) in
        [("50", 0.5), ("75", 0.75), ("90", 0.9), ("95", 0.95), ("99", 0.99), ("999", 0.999)]
    {
        points.insert(name.to_owned(), ns(of.quantile(fraction)));
    }
    points
}

#[cfg(test)]
mod tests {
    use muster_api::muster::Protocol;

    use super::*;
    use crate::status::testing::{backend, vip};

    fn shown(vips: Vec<crate::VipStatus>) -> Value {
        Value::Object(metrics(&Snapshot { vips, ..Snapshot::default() }))
    }

    #[test]
    fn backend_of_two_vips_is_shown_with_the_connections_of_both() {
        let mut one = backend(1, 7);
        (one.failures, one.refused, one.timeouts) = (3, 1, 1);
        one.established.retransmits = 4;
        let vips = vec![
            vip(80, Protocol::Tcp, vec![one, backend(2, 5)]),
            vip(81, Protocol::Tcp, vec![backend(1, 2)]),
        ];
        let shown = shown(vips);
        assert_eq!(shown["successes_counter"], json!({"value": 14, "type": "counter"}));
        assert_eq!(shown["failures_counter"]["value"], 3);
        assert_eq!(shown["timeouts_counter"]["value"], 1);
        assert_eq!(shown["retransmits_counter"]["value"], 4);
        assert_eq!(shown["backend_10.0.0.1:1_retransmits_counter"]["value"], 4);
        assert_eq!(shown["backend_10.0.0.1:1_successes_counter"]["value"], 9);
        assert_eq!(shown["connect_latency_histogram"]["n"], 14);
        assert_eq!(shown["backend_10.0.0.1:2_connect_latency_histogram"]["type"], "histogram");
        assert_eq!(shown["vips_gauge"]["value"], 2);
        assert_eq!(shown["map_vips_skipped_gauge"]["value"], 0);
    }

    #[test]
    fn backend_in_both_protocols_is_shown_with_both() {
        let vips = vec![
            vip(53, Protocol::Tcp, vec![backend(1, 5)]),
            vip(53, Protocol::Udp, vec![backend(1, 7)]),
        ];
        let shown = shown(vips);
        assert_eq!(shown["backend_10.0.0.1:1_successes_counter"]["value"], 12);
        assert_eq!(shown["successes_counter"]["value"], 12);
    }

    #[test]
    fn forwarded_packets_are_counters_where_there_are_any() {
        let forwarded = vec![("local", 3), ("opened", 2)];
        let maps = vec![crate::MapUse { name: "tracked", entries: 2, capacity: 64 }];
        let shown = Value::Object(metrics(&Snapshot { maps, forwarded, ..Snapshot::default() }));
        assert_eq!(shown["forwarded_local_counter"], json!({"value": 3, "type": "counter"}));
        assert_eq!(shown["forwarded_opened_counter"]["value"], 2);
        assert_eq!(shown["forwarded_flows_gauge"]["value"], 2);
        let without = metrics(&Snapshot::default());
        assert!(without.keys().all(|name| !name.starts_with("forwarded")));
    }

    #[test]
    fn backend_that_nothing_was_connected_to_has_no_metrics() {
        let shown = shown(vec![vip(80, Protocol::Tcp, vec![backend(1, 0)])]);
        assert!(shown.as_object().unwrap().keys().all(|name| !name.starts_with("backend_")));
        let histogram = shown["connect_latency_histogram"].as_object().unwrap();
        let names: Vec<_> = histogram.keys().map(String::as_str).collect();
        let expected =
            ["n", "mean", "min", "max", "median", "50", "75", "90", "95", "99", "999", "type"];
        assert_eq!(names, expected);
        assert_eq!(histogram["999"], 0);
    }
}
