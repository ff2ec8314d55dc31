//! The machines, the image, and the application that gets deployed on them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use muster_harness::{Cluster, Error, image, paths};
use serde_json::{Value, json};

use super::pretty;
use super::stage::Shown;
use crate::ui::Ui;

/// The application's id.
pub(super) const APP: &str = "/nginx";

/// How many instances it has.
pub(super) const INSTANCES: usize = 3;

/// How long a deployment may take.
const DEPLOYED_WITHIN: Duration = Duration::from_mins(2);

pub(super) fn describe_machines(cluster: &Cluster) -> Result<Shown> {
    let state = cluster.master_get("/state")?;
    let agents = state.get("slaves").and_then(Value::as_array).cloned().unwrap_or_default();
    let machines: Vec<Value> = cluster
        .agents()
        .iter()
        .map(|agent| {
            let known = agents.iter().find(|known| known["hostname"] == agent.hostname());
            json!({ "hostname": agent.hostname(), "address": agent.address().to_string(),
                    "netns": agent.name(), "agent": known.map(|known| &known["id"]) })
        })
        .collect();
    let lines: Vec<String> = machines
        .iter()
        .map(|machine| {
            let text = |field: &str| machine[field].as_str().unwrap_or("-").to_owned();
            let (name, address, netns) = (text("hostname"), text("address"), text("netns"));
            format!("{name:4} {address:12} namespace {netns:10} agent {}", text("agent"))
        })
        .collect();
    let master = format!("m    {:12} namespace {}-m", cluster.master_address(), cluster.id());
    Ok(Shown::new(json!({ "cluster": cluster.id(), "agents": machines }))
        .line(format!("{master}     master"))
        .lines(lines)
        .line(format!("joined by a bridge in namespace {}-switch", cluster.id())))
}

pub(super) fn describe_image() -> Result<Shown> {
    let store = paths::images();
    let images = image::list(&store)?;
    let nginx = images.iter().find(|image| image.name.starts_with("nginx:"));
    let nginx = nginx.context("the image is not in the store")?;
    let line = format!("{} {} layers, {}", nginx.name, nginx.layers, nginx.digest);
    let data = json!({ "image": nginx.name, "digest": nginx.digest, "layers": nginx.layers,
                       "store": store.display().to_string() });
    Ok(Shown::new(data).line(line).line(format!("OCI layout in {}", store.display())))
}

/// The application, in the form that Marathon takes.
fn definition() -> Value {
    json!({
        "id": APP,
        "cpus": 0.1,
        "mem": 64,
        "instances": INSTANCES,
        "container": {
            "type": "MESOS",
            "docker": { "image": "nginx", "network": "HOST" }
        },
        "portDefinitions": [
            { "port": 0, "protocol": "tcp", "name": "http", "labels": { "VIP_0": "/nginx:80" } }
        ],
        "healthChecks": [
            { "protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 30,
              "delaySeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 5, "maxConsecutiveFailures": 3 }
        ]
    })
}

/// Posts it and watches it come up.
pub(super) fn application(ui: Ui, cluster: &mut Cluster) -> Result<Shown> {
    let definition = definition();
    ui.say("   POST /v2/apps");
    for line in pretty::lines(&definition) {
        ui.say(format_args!("   {line}"));
    }
    let start = Instant::now();
    cluster.marathon().create(&definition)?;
    let mut seen: Vec<(f64, [u64; 3])> = Vec::new();
    ui.step("wait for all instances to be healthy", |step| {
        Ok(cluster.wait_for("all instances to be healthy", DEPLOYED_WITHIN, |cluster| {
            let app = cluster.marathon().app(APP)?;
            let count = |field: &str| app.get(field).and_then(Value::as_u64).unwrap_or(0);
            let counts = ["tasksStaged", "tasksRunning", "tasksHealthy"].map(count);
            if seen.last().is_none_or(|(_, last)| *last != counts) {
                seen.push((start.elapsed().as_secs_f64(), counts));
            }
            step.at(&describe(counts));
            match counts {
                [0, running, healthy] if running == healthy && healthy == INSTANCES as u64 => {
                    Ok(())
                }
                _ => Err(Error::NotYet(describe(counts))),
            }
        })?)
    })?;
    let lines: Vec<String> = seen
        .iter()
        .map(|(seconds, counts)| format!("{seconds:6.2} s  {}", describe(*counts)))
        .collect();
    let tasks = cluster.marathon().tasks(APP)?;
    let placed = tasks.iter().map(|task| format!("{} on {} {:?}", task.id, task.host, task.ports));
    let data = json!({ "app": definition, "tasks": tasks.len(),
                       "progress": seen.iter().map(|(seconds, [staged, running, healthy])| {
                           json!({ "seconds": seconds, "staged": staged, "running": running,
                                   "healthy": healthy })
                       }).collect::<Vec<_>>() });
    Ok(Shown::new(data).lines(lines).lines(placed))
}

fn describe([staged, running, healthy]: [u64; 3]) -> String {
    format!("{staged} staging, {running} running, {healthy} healthy")
}
