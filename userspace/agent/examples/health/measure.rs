//! Changing healths, and how long it takes until all know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::spawn_blocking;

use crate::settings::Settings;
use crate::source::Source;
use crate::watch::Watch;
use crate::{Failure, tasks};

/// Pause after a change: agents then delete what they have replaced.
const SETTLE: Duration = Duration::from_millis(100);

/// Changes that are not counted: what happens once only has happened then.
const WARM: usize = 5;

/// A task becomes unhealthy, and healthy again, in turns; prints the figures.
pub(crate) async fn run(settings: &Settings, source: &Source, watch: Watch) -> Result<(), Failure> {
    let watch = Arc::new(watch);
    let (mut firsts, mut all, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM + settings.rounds {
        let vip = round / 2 % settings.vips;
        let task = tasks::id(vip, 0);
        let before = watch.look(vip)?;
        let watching = Arc::clone(&watch);
        let start = Instant::now();
        source.tell(&task, round % 2 == 1).await?;
        let took = spawn_blocking(move || watching.changes(vip, &before, start)).await??;
        if round >= WARM {
            let took: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1e3).collect();
            firsts.extend(took.iter().copied().reduce(f64::min));
            lasts.extend(took.iter().copied().reduce(f64::max));
            all.extend(took);
        }
        tokio::time::sleep(SETTLE).await;
    }
    for (subject, mut values) in
        [("first agent", firsts), ("each agent", all), ("last agent", lasts)]
    {
        values.sort_by(f64::total_cmp);
        for (part, name) in [(0.5, "p50"), (0.99, "p99"), (1.0, "max")] {
            print(&format!("{subject}, {name}"), at(&values, part), "ms");
        }
    }
    print("memory of this process", resident_mib()?, "MiB");
    Ok(())
}

fn print(case: &str, value: f64, unit: &str) {
    println!("{}", json!({ "case": case, "value": value, "unit": unit }));
}

/// The value at a part of the way through sorted values: no less than that part of them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions in a short list"
)]
fn at(values: &[f64], part: f64) -> f64 {
    let position = (part * values.len() as f64).ceil() as usize;
    values.get(position.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn resident_mib() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.unwrap_or_default().trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
