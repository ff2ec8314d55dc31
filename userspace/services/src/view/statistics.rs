//! Statistics of an application's tasks, by version: `embed=taskStats`.

use serde_json::{Map, Value, json};

use super::app::Counts;
use super::task::since;
use crate::app::App;
use crate::instance::Instance;
use crate::timestamp::Timestamp;

/// The statistics of `instances` of `app`. Groups without tasks are left out.
pub(crate) fn by_version(app: &App, instances: &[&Instance], now: Timestamp) -> Value {
    let groups: [(&str, Vec<&Instance>); 4] = [
        ("startedAfterLastScaling", filter(instances, |i| i.version >= app.last_scaling_at)),
        ("withLatestConfig", filter(instances, |i| i.version >= app.last_config_change_at)),
        ("withOutdatedConfig", filter(instances, |i| i.version < app.last_config_change_at)),
        ("totalSummary", instances.to_vec()),
    ];
    let groups = groups.into_iter().filter(|(_, group)| !group.is_empty());
    let map: Map<_, _> = groups.map(|(name, group)| (name.into(), stats(&group, now))).collect();
    Value::Object(map)
}

fn filter<'a>(instances: &[&'a Instance], keep: impl Fn(&Instance) -> bool) -> Vec<&'a Instance> {
    instances.iter().copied().filter(|i| keep(i)).collect()
}

fn stats(instances: &[&Instance], now: Timestamp) -> Value {
    let counts = Counts::of(instances.iter().copied());
    let mut stats = json!({
        "counts": {
            "staged": counts.staged,
            "running": counts.running,
            "healthy": counts.healthy,
            "unhealthy": counts.unhealthy,
        },
    });
    let mut lives: Vec<f64> = instances
        .iter()
        .filter(|i| i.started_at.is_some())
        .map(|i| now.since(since(i)).as_secs_f64())
        .collect();
    lives.sort_by(f64::total_cmp);
    if let Some(median) = lives.get(lives.len() / 2) {
        let upper = *median;
        let lower = lives[(lives.len() - 1) / 2];
        #[expect(clippy::cast_precision_loss, reason = "tasks are far fewer than 2^52")]
        let average = lives.iter().sum::<f64>() / lives.len() as f64;
        stats["lifeTime"] =
            json!({ "averageSeconds": average, "medianSeconds": f64::midpoint(lower, upper) });
    }
    json!({ "stats": stats })
}
