//! What several scenarios need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use muster_harness::image::{self, Recipe};
use muster_harness::marathon::Task;
use muster_harness::{Cluster, Error, Options, command, paths, privileged, ready};
use serde_json::{Value, json};

/// How long deployments, replacements and removals may take.
pub(crate) const WITHIN: Duration = Duration::from_mins(2);

/// Values of `--vip-backend`.
pub(crate) const EBPF: &str = "ebpf";
pub(crate) const NFQUEUE: &str = "nfqueue";

/// A cluster called `name` with its images; none where scenarios can not run.
pub(crate) fn cluster(name: &str, agents: usize) -> Option<Cluster> {
    let mut cluster = machines(&Options::named(name).agents(agents))?;
    cluster.start_all().unwrap();
    Some(cluster)
}

/// The same, whose agents serve VIPs by this `--vip-backend`.
pub(crate) fn cluster_by(backend: &str, name: &str, agents: usize) -> Option<Cluster> {
    let mut cluster = machines(&Options::named(name).agents(agents))?;
    for index in 0..agents {
        cluster.agent(index).daemon().set_flag("--vip-backend", backend);
        if backend == NFQUEUE {
            route_vips(&cluster, index);
        }
    }
    cluster.start_all().unwrap();
    Some(cluster)
}

/// Gives a machine a way to VIPs. By NFQUEUE a packet is made before it is translated, and the
/// machines are on one wire only.
fn route_vips(cluster: &Cluster, index: usize) {
    run_on(cluster, index, "ip", &["route", "add", "default", "dev", "eth0"]);
}

/// Runs a program in a machine's network, in no cgroup of its agent.
pub(crate) fn run_on(cluster: &Cluster, index: usize, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    cluster.agents()[index].netns().place(&mut command).unwrap();
    command::output(&mut command).unwrap()
}

/// The same, with nothing started on its machines yet.
pub(crate) fn machines(options: &Options) -> Option<Cluster> {
    if !privileged() {
        return None;
    }
    for recipe in Recipe::ALL {
        image::make(recipe, &paths::images()).unwrap();
    }
    Some(Cluster::machines(options).unwrap())
}

/// nginx behind the VIP `/nginx:80`, one instance a machine, checked every second.
pub(crate) fn nginx(instances: usize) -> Value {
    json!({
        "id": "/nginx",
        "cpus": 0.1,
        "mem": 64,
        "instances": instances,
        "container": { "type": "MESOS", "docker": { "image": "nginx" } },
        "constraints": [["hostname", "UNIQUE"]],
        "portDefinitions": [
            { "port": 0, "protocol": "tcp", "name": "http", "labels": { "VIP_0": "/nginx:80" } }
        ],
        "healthChecks": [
            { "protocol": "MESOS_HTTP", "path": "/", "portIndex": 0, "delaySeconds": 0,
              "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 30,
              "maxConsecutiveFailures": 5 }
        ]
    })
}

/// A shell in the image `busybox`, that notes each of its starts in its sandbox and sleeps.
pub(crate) fn sleeper(id: &str, instances: usize) -> Value {
    json!({
        "id": id,
        "cpus": 0.05,
        "mem": 32,
        "instances": instances,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": format!("echo started >> \"$MESOS_SANDBOX/{STARTS}\"; exec sleep 100000"),
    })
}

const STARTS: &str = "starts";

/// Waits until `instances` tasks of `app` are up, as its deployment ends, and returns them.
pub(crate) fn await_up(cluster: &mut Cluster, app: &str, instances: usize) -> Vec<Task> {
    let what = format!("{instances} instances of {app} to be up");
    cluster
        .wait_for(&what, WITHIN, |cluster| {
            let marathon = cluster.marathon();
            let state = marathon.app(app)?;
            let tasks = marathon.tasks(app)?;
            let checked = state["healthChecks"].as_array().is_some_and(|checks| !checks.is_empty());
            let field = if checked { "tasksHealthy" } else { "tasksRunning" };
            let up = tasks.iter().filter(|task| task.is_up()).count();
            let done = state[field] == instances
                && up == instances
                && tasks.len() == instances
                && state["deployments"].as_array().is_none_or(Vec::is_empty);
            ready(done, || format!("{field} {}, {tasks:?}", state[field]))?;
            Ok(tasks)
        })
        .unwrap()
}

/// Waits until the application and all its tasks are gone, also from the master.
pub(crate) fn await_gone(cluster: &mut Cluster, app: &str) {
    cluster
        .wait_for(&format!("{app} to be gone"), WITHIN, |cluster| {
            let answer = cluster.marathon().send("GET", &format!("/v2/apps{app}"), None)?;
            ready(answer.status == 404, || format!("status {}", answer.status))?;
            let alive = live_tasks(cluster)?;
            ready(alive.is_empty(), || format!("the master has {alive:?}"))
        })
        .unwrap();
}

/// Ids of the tasks that the master thinks are alive.
pub(crate) fn live_tasks(cluster: &Cluster) -> Result<BTreeSet<String>, Error> {
    let state = cluster.master_get("/state")?;
    let frameworks = state["frameworks"].as_array().cloned().unwrap_or_default();
    let tasks = frameworks.iter().flat_map(|framework| {
        framework["tasks"].as_array().cloned().unwrap_or_default().into_iter()
    });
    let ended = ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR"];
    Ok(tasks
        .filter(|task| !ended.contains(&task["state"].as_str().unwrap_or_default()))
        .map(|task| task["id"].as_str().unwrap_or_default().to_owned())
        .collect())
}

/// How often each task started: the lines that sleepers wrote, by task id, on all machines.
pub(crate) fn starts(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for sandbox in cluster.sandboxes().unwrap() {
        let lines = fs::read_to_string(sandbox.path.join(STARTS)).unwrap_or_default();
        *starts.entry(sandbox.task).or_insert(0) += lines.lines().count();
    }
    starts
}

/// The VIP of port 80 once every agent has `backends` healthy backends for it.
pub(crate) fn await_vip(cluster: &mut Cluster, backends: usize) -> String {
    cluster.await_vip(80, backends, WITHIN).unwrap()
}

/// Kills the first agent, lets `meanwhile` happen, and starts it again.
pub(crate) fn replace_agent(cluster: &mut Cluster, meanwhile: impl FnOnce(&mut Cluster)) {
    cluster.agent(0).daemon().kill().unwrap();
    meanwhile(cluster);
    let registered = |cluster: &Cluster| {
        let state = cluster.master_get("/state").unwrap();
        let agents = state["slaves"].as_array().unwrap();
        let own = agents.iter().find(|agent| agent["hostname"] == "a1").unwrap();
        own["reregistered_time"].as_f64()
    };
    let before = registered(cluster);
    cluster.start_agent(0).unwrap();
    cluster
        .wait_for("the agent to be registered again", WITHIN, |cluster| {
            let now = registered(cluster);
            ready(now > before, || format!("{now:?}, before it was {before:?}"))
        })
        .unwrap();
}

/// Stops the cluster and asks that its agents' own cleanup left nothing.
pub(crate) fn stop(cluster: Cluster) {
    let left = cluster.stop().unwrap();
    assert!(left.is_empty(), "left behind: {left:#?}");
}
