//! What can be seen of the data centre from outside it.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};
use muster_harness::{Cluster, bpffs, command};
use serde_json::{Value, json};

use super::deploy::{APP, INSTANCES};
use super::pretty;
use super::stage::Shown;

/// The maps that are shown, by the names of their pins.
const MAPS: [&str; 2] = ["vips", "backends"];

/// How much of each is shown.
const LINES: usize = 40;

pub(super) fn everything(cluster: &Cluster) -> Result<Shown> {
    let mut lines = Vec::new();
    let agent = cluster.agents().first().context("there is no agent")?;
    let url = "http://localhost:61421/vips";
    let vips = agent.http().get(url)?.success()?.json()?;
    lines.push(format!("{}$ curl {url}", agent.hostname()));
    lines.extend(excerpt(&vips));

    let mut dumps = serde_json::Map::new();
    for map in MAPS {
        let path = format!("{}/muster/{}/{map}", bpffs::DIRECTORY, agent.name());
        let dump = dump(&path)?;
        lines.push(format!("$ bpftool map dump pinned {path}"));
        lines.extend(excerpt(&dump));
        dumps.insert(map.to_owned(), dump);
    }

    let state = cluster.master_get("/state")?;
    let frameworks = state["frameworks"].as_array().cloned().unwrap_or_default();
    let tasks: usize =
        frameworks.iter().filter_map(|framework| Some(framework["tasks"].as_array()?.len())).sum();
    if tasks < INSTANCES {
        bail!("/state has {tasks} tasks, expected the {INSTANCES} of {APP}: {state}");
    }
    let master = cluster.master_address();
    lines.push(format!("m$ curl http://{master}:5050/state"));
    lines.push(format!(
        "{} agents active, {} frameworks, {tasks} tasks",
        state["activated_slaves"],
        frameworks.len()
    ));
    let shares = dominant_shares(&cluster.master_get("/metrics/snapshot")?);
    if !shares.values().any(|share| *share > 0.0) {
        bail!("no role has a dominant share above 0, with {tasks} tasks running: {shares:?}");
    }
    lines.push(format!("m$ curl http://{master}:5050/metrics/snapshot"));
    lines.extend(
        shares.iter().map(|(role, share)| format!("role {role}: dominant share {share:.4} (DRF)")),
    );
    Ok(Shown::new(json!({ "vips": vips, "maps": dumps, "tasks": tasks, "shares": shares }))
        .lines(lines))
}

/// The map's entries by their named fields.
fn dump(path: &str) -> Result<Value> {
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["--json", "map", "dump", "pinned", path]);
    let text = command::output(&mut bpftool)?;
    let entries: Value = serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))?;
    let named: Option<Vec<Value>> = entries
        .as_array()
        .and_then(|entries| entries.iter().map(|entry| entry.get("formatted").cloned()).collect());
    match named {
        Some(named) if !named.is_empty() => Ok(Value::Array(named)),
        _ => bail!("{path} has no entry with named fields: {text}"),
    }
}

fn excerpt(value: &Value) -> Vec<String> {
    let mut lines = pretty::lines(value);
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.push("…".to_owned());
    }
    lines
}

/// The allocator's dominant share of each role, from the master's metrics.
fn dominant_shares(metrics: &Value) -> BTreeMap<String, f64> {
    let metrics = metrics.as_object().into_iter().flatten();
    metrics
        .filter_map(|(name, value)| {
            let role = name.strip_prefix("allocator/mesos/roles/")?;
            Some((role.strip_suffix("/shares/dominant")?.to_owned(), value.as_f64()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dominant_shares_are_taken_from_the_allocators_metrics() {
        let metrics = json!({ "allocator/mesos/roles/*/shares/dominant": 0.025,
                              "allocator/mesos/allocation_runs": 3.0, "master/elected": 1.0 });
        assert_eq!(dominant_shares(&metrics), BTreeMap::from([("*".to_owned(), 0.025)]));
    }
}
