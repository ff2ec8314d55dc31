//! What several agents tell of the same VIPs, as one.

use std::collections::BTreeMap;

use muster_dataplane::{BackendReport, Report, VipReport};

/// Adds up what agents have counted. Where they disagree on whether a backend works, it is the
/// worst that any says.
pub(super) fn merge(reports: Vec<Report>) -> Report {
    let mut whole = Report::default();
    let mut places = BTreeMap::new();
    for report in reports {
        for (map, count) in report.skipped.full {
            *whole.skipped.full.entry(map).or_default() += count;
        }
        for (name, count) in report.forwarded {
            *whole.forwarded.entry(name).or_default() += count;
        }
        whole.skipped.failed += report.skipped.failed;
        whole.skipped.invalid += report.skipped.invalid;
        for vip in report.vips {
            let key = (vip.vip.clone(), vip.protocol.clone());
            let known = places.get(&key).and_then(|place: &usize| whole.vips.get_mut(*place));
            if let Some(known) = known {
                add_vip(known, vip);
            } else {
                places.insert(key, whole.vips.len());
                whole.vips.push(vip);
            }
        }
    }
    whole
}

fn add_vip(known: &mut VipReport, vip: VipReport) {
    known.name = known.name.take().or(vip.name);
    known.policy = known.policy.take().or(vip.policy);
    for backend in vip.backends {
        match known.backends.iter_mut().find(|known| known.backend == backend.backend) {
            Some(known) => add_backend(known, &backend),
            None => known.backends.push(backend),
        }
    }
}

fn add_backend(known: &mut BackendReport, more: &BackendReport) {
    if badness(&more.tier) > badness(&known.tier) {
        known.tier.clone_from(&more.tier);
    }
    known.pending += more.pending;
    known.started += more.started;
    known.successes += more.successes;
    known.failures += more.failures;
    known.refused += more.refused;
    known.timeouts += more.timeouts;
    // The averages of several agents have none.
    known.average_ns = None;
    known.latency = known.latency.and(&more.latency);
    known.established = known.established.and(&more.established);
}

fn badness(tier: &str) -> u8 {
    match tier {
        "up" => 0,
        "maybe-up" => 1,
        "down" => 2,
        // Draining, or what another version says.
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use muster_dataplane::Established;

    use super::*;

    fn report(backends: &[(&str, &str, u64)]) -> Report {
        let backend = |(address, tier, count): &(&str, &str, u64)| BackendReport {
            backend: (*address).into(),
            weight: 1,
            tier: (*tier).into(),
            pending: *count,
            started: *count,
            successes: *count,
            failures: *count,
            refused: *count,
            timeouts: *count,
            average_ns: Some(1),
            latency: muster_dataplane::Latencies::default(),
            established: Established { retransmits: *count, ..Established::default() },
        };
        let vip = VipReport {
            vip: "11.0.0.1:80".into(),
            protocol: "tcp".into(),
            name: None,
            policy: None,
            backends: backends.iter().map(backend).collect(),
        };
        Report { vips: vec![vip], ..Report::default() }
    }

    #[test]
    fn counts_are_added_and_the_worst_is_believed() {
        let mut named = report(&[("a", "down", 2), ("c", "up", 4)]);
        named.vips[0].name = Some("web".into());
        named.skipped.full.insert("vips".into(), 3);
        named.forwarded.insert("local".into(), 4);
        let whole =
            merge(vec![report(&[("a", "up", 1), ("b", "maybe-up", 1)]), named.clone(), named]);
        assert_eq!((whole.vips.len(), whole.vips[0].name.as_deref()), (1, Some("web")));
        let shown: Vec<_> = whole.vips[0]
            .backends
            .iter()
            .map(|b| (b.backend.as_str(), b.tier.as_str(), b.successes, b.established.retransmits))
            .collect();
        assert_eq!(shown, [("a", "down", 5, 5), ("b", "maybe-up", 1, 1), ("c", "up", 8, 8)]);
        assert_eq!(whole.skipped.full["vips"], 6);
        assert_eq!(whole.forwarded["local"], 8);
    }

    #[test]
    fn other_protocols_are_other_vips() {
        let mut udp = report(&[]);
        udp.vips[0].protocol = "udp".into();
        assert_eq!(merge(vec![report(&[]), udp]).vips.len(), 2);
    }
}
