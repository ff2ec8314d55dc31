//! A backend whose process is stopped: its health check passes, and it accepts nothing.

use std::time::{Duration, Instant};

use muster_harness::cgroup::{self, Cgroup};
use muster_harness::marathon::Task;
use muster_harness::{Cluster, Error, ready};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::streams::{self, Streams};
use crate::support::{EBPF, WITHIN, await_up, await_vip, cluster_by, stop};

/// How long the breaker lets nothing through after a failure.
const BACKOFF: Duration = Duration::from_secs(30);

/// Sends a signal to all processes of a task's container.
fn signal(cluster: &Cluster, task: &str, signal: Signal) {
    let sandboxes = cluster.sandboxes().unwrap();
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.task == task).unwrap();
    let agent = cluster.agents()[0].name();
    let container = cgroup::unified().unwrap().join("muster").join(agent).join(&sandbox.container);
    let processes = Cgroup::at(container).processes().unwrap();
    assert!(!processes.is_empty());
    for pid in processes {
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

/// How many connections the agent has begun to the backend, how many of them failed, and whether
/// it takes any.
fn tried(cluster: &Cluster, vip: &str, backend: &str) -> Result<(u64, u64, bool), Error> {
    let answer = cluster.vip_get(0, &format!("/vip/{vip}"))?;
    let shown = &answer[backend];
    let number = |field: &str| {
        shown[field].as_u64().ok_or_else(|| Error::NotYet(format!("no {field} in {answer}")))
    };
    let failed = number("total_failures")?;
    let begun = number("pending_connections")? + number("total_sucesses")? + failed;
    Ok((begun, failed, shown["is_healthy"] == true))
}

#[test]
fn t93_a_stopped_backend_gets_nothing_until_it_answers_again() {
    let Some(mut cluster) = cluster_by(EBPF, "t93", 1) else { return };
    let mut app = streams::app(2);
    app["cmd"] = json!(streams::serve(1));
    cluster.marathon().create(&app).unwrap();
    let tasks = await_up(&mut cluster, "/streams", 2);
    let vip = await_vip(&mut cluster, 2);
    let mut client = Streams::start(&cluster, 0);
    let stopped = &tasks[0];
    let backend = streams::address(&cluster, stopped);
    signal(&cluster, &stopped.id, Signal::SIGSTOP);

    // Its kernel takes two connections, and answers no more: five have failed soon.
    cluster
        .wait_for("the breaker to open", WITHIN, |cluster| {
            client.burst(20, &vip);
            let (begun, failed, healthy) = tried(cluster, &vip, &backend)?;
            ready(!healthy && failed >= 5, || format!("{failed} of {begun} failed"))
        })
        .unwrap();
    // Its checks pass: nobody but who serves the VIP knows.
    assert!(cluster.marathon().tasks("/streams").unwrap().iter().all(Task::is_up));
    let (before, ..) = tried(&cluster, &vip, &backend).unwrap();
    let since = Instant::now();
    for _ in 0..10 {
        client.burst(20, &vip);
    }
    let (after, ..) = tried(&cluster, &vip, &backend).unwrap();
    // One for each backoff that has passed since the last failure, where the machine is slow.
    let tests = (since.elapsed() + BACKOFF / 2).as_secs() / BACKOFF.as_secs();
    assert!(after - before <= tests, "{} new ones in {:?}", after - before, since.elapsed());

    signal(&cluster, &stopped.id, Signal::SIGCONT);
    cluster
        .wait_for("the backend to get connections again", WITHIN, |_| {
            let opened = client.burst(20, &vip).opened;
            ready(opened.get(&stopped.id).is_some_and(|count| *count > 1), || format!("{opened:?}"))
        })
        .unwrap();
    drop(client);
    stop(cluster);
}
