//! `muster vip watch`: what goes on between one look and the next.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_dataplane::{BackendReport, Latencies, Report, VipReport};
use serde::Serialize;

use super::agents::Agents;
use super::{find, rows};
use crate::table;

/// Moves a terminal's cursor to its corner, and clears what is behind it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What to watch.
pub(super) struct How {
    /// The VIP whose backends are shown; without, all VIPs are.
    pub(super) vip: Option<String>,
    /// From one look to the next.
    pub(super) interval: Duration,
    pub(super) json: bool,
}

/// What has changed of a VIP, or a backend, since the last look.
#[derive(Debug, PartialEq, Serialize)]
struct Change {
    name: Option<String>,
    vip: String,
    protocol: String,
    /// The backend; null if it is about the whole VIP.
    backend: Option<String>,
    /// A backend's tier, or how many of a VIP's backends are up.
    health: String,
    pending: u64,
    /// Null at the first look.
    successes_per_second: Option<f64>,
    failures_per_second: Option<f64>,
    /// Of the handshakes completed since the last look; of all at the first.
    latency: Latencies,
}

/// Looks until it is interrupted, or has looked `count` times.
pub(super) fn run(agents: Agents, how: &How, count: Option<u64>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        tokio::select! {
            () = crate::terminated() => Ok(()),
            result = looks(Arc::new(agents), how, count) => result,
        }
    });
    // A question that is under way is of no interest any more.
    runtime.shutdown_background();
    result
}

async fn looks(agents: Arc<Agents>, how: &How, count: Option<u64>) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(how.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<(Instant, Report)> = None;
    let mut looked = 0;
    while count.is_none_or(|count| looked < count) {
        ticks.tick().await;
        let asked = Arc::clone(&agents);
        let report = tokio::task::spawn_blocking(move || asked.report()).await?;
        let report = match report {
            // Agents are restarted, and their VIPs and counters go on without them.
            Err(error) if last.is_some() => {
                let _ = writeln!(io::stderr(), "muster vip: {error:#}");
                looked += 1;
                continue;
            }
            report => report?,
        };
        let now = Instant::now();
        let before = last.as_ref().map(|(then, report)| (now.duration_since(*then), report));
        let changes = match &how.vip {
            Some(vip) => {
                let found = find::found(report.vips.clone(), vip)?;
                found.iter().flat_map(|vip| of_backends(vip, before)).collect()
            }
            None => report.vips.iter().map(|vip| of_vip(vip, before)).collect::<Vec<_>>(),
        };
        print(&changes, how, looked == 0)?;
        last = Some((now, report));
        looked += 1;
    }
    Ok(())
}

fn print(changes: &[Change], how: &How, first: bool) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    if how.json {
        writeln!(output, "{}", serde_json::to_string(&changes)?)?;
        return Ok(());
    }
    if output.is_terminal() {
        write!(output, "{CLEAR}")?;
    } else if !first {
        writeln!(output)?;
    }
    let column = if how.vip.is_some() { "BACKEND" } else { "VIP" };
    let head = ["NAME", column, "PROTO", "HEALTH", "PENDING", "CONN/S", "FAIL/S", "P50", "P99"];
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let row = |change: &Change| {
        [
            change.name.clone().unwrap_or_else(|| "-".to_owned()),
            change.backend.as_ref().unwrap_or(&change.vip).clone(),
            change.protocol.clone(),
            change.health.clone(),
            change.pending.to_string(),
            rate(change.successes_per_second),
            rate(change.failures_per_second),
            rows::quantile(&change.latency, 0.5),
            rows::quantile(&change.latency, 0.99),
        ]
    };
    let rows = std::iter::once(head.map(str::to_owned)).chain(changes.iter().map(row));
    table::write(&mut output, &rows.collect::<Vec<_>>())?;
    output.flush()?;
    Ok(())
}

/// What was known at the last look, and how long that is ago.
type Before<'a> = Option<(Duration, &'a Report)>;

fn of_vip(vip: &VipReport, before: Before<'_>) -> Change {
    let known = before.and_then(|(ago, report)| Some((ago, known_vip(report, vip)?)));
    // Backend by backend: of those that have begun anew or have gone, nothing is subtracted.
    let parts: Vec<Change> =
        vip.backends.iter().map(|backend| of_backend(vip, backend, known)).collect();
    let rate =
        |of: fn(&Change) -> Option<f64>| before.map(|_| parts.iter().filter_map(of).sum::<f64>());
    Change {
        name: vip.name.clone(),
        vip: vip.vip.clone(),
        protocol: vip.protocol.clone(),
        backend: None,
        health: rows::up(vip),
        pending: rows::sum(vip, |backend| backend.pending),
        successes_per_second: rate(|part| part.successes_per_second),
        failures_per_second: rate(|part| part.failures_per_second),
        latency: parts.iter().fold(Latencies::default(), |all, part| all.and(&part.latency)),
    }
}

fn of_backends(vip: &VipReport, before: Before<'_>) -> Vec<Change> {
    let known = before.and_then(|(ago, report)| Some((ago, known_vip(report, vip)?)));
    vip.backends.iter().map(|backend| of_backend(vip, backend, known)).collect()
}

fn of_backend(
    vip: &VipReport,
    backend: &BackendReport,
    before: Option<(Duration, &VipReport)>,
) -> Change {
    let known = before.and_then(|(ago, vip)| {
        let known = vip.backends.iter().find(|known| known.backend == backend.backend)?;
        Some((ago, known))
    });
    let rate = |of: fn(&BackendReport) -> u64| {
        known.map(|(ago, known)| {
            // Fewer than before are counted anew.
            let more = of(backend).checked_sub(of(known)).unwrap_or(of(backend));
            #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
            let more = more as f64;
            more / ago.as_secs_f64().max(f64::EPSILON)
        })
    };
    Change {
        name: vip.name.clone(),
        vip: vip.vip.clone(),
        protocol: vip.protocol.clone(),
        backend: Some(backend.backend.clone()),
        health: backend.tier.clone(),
        pending: backend.pending,
        successes_per_second: rate(|backend| backend.successes),
        failures_per_second: rate(|backend| backend.failures),
        latency: known.map_or(backend.latency, |(_, known)| backend.latency.since(&known.latency)),
    }
}

fn known_vip<'a>(report: &'a Report, vip: &VipReport) -> Option<&'a VipReport> {
    report.vips.iter().find(|known| known.vip == vip.vip && known.protocol == vip.protocol)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(backends: &[(&str, u64, u64)]) -> Report {
        let backend = |(address, successes, failures): &(&str, u64, u64)| {
            json!({
                "backend": address, "weight": 1, "tier": "up", "pending": 0,
                "started": successes + failures, "successes": successes, "failures": failures,
                "refused": 0, "timeouts": 0, "average_ns": null,
                "latency": {"sum_ns": successes * 20_000, "count": successes,
                            "buckets": [{"below_ns": 32_768, "count": successes}]},
            })
        };
        let backends: Vec<_> = backends.iter().map(backend).collect();
        serde_json::from_value(json!({"vips": [{
            "vip": "11.0.0.1:80", "protocol": "tcp", "name": null, "policy": null,
            "backends": backends,
        }]}))
        .unwrap()
    }

    #[test]
    fn rates_are_of_what_is_new() {
        let before = report(&[("a", 100, 1), ("gone", 50, 0)]);
        let now = report(&[("a", 110, 2), ("new", 4, 0)]);
        let ago = Duration::from_secs(2);
        let change = of_vip(&now.vips[0], Some((ago, &before)));
        assert_eq!(change.successes_per_second, Some(5.0));
        assert_eq!(change.failures_per_second, Some(0.5));
        // What a new backend had done when it was first seen is new in the latencies.
        assert_eq!(change.latency.count(), 14);
        let changes = of_backends(&now.vips[0], Some((ago, &before)));
        assert_eq!(changes[0].successes_per_second, Some(5.0));
        assert_eq!((changes[1].successes_per_second, changes[1].latency.count()), (None, 4));
    }

    #[test]
    fn nothing_is_subtracted_from_what_began_anew() {
        let before = report(&[("a", 100, 1)]);
        let now = report(&[("a", 6, 0)]);
        let change = of_vip(&now.vips[0], Some((Duration::from_secs(1), &before)));
        assert_eq!(change.successes_per_second, Some(6.0));
        assert_eq!(change.latency.count(), 6);
    }

    #[test]
    fn first_look_has_no_rates() {
        let change = of_vip(&report(&[("a", 100, 1)]).vips[0], None);
        assert_eq!((change.successes_per_second, change.latency.count()), (None, 100));
    }
}
