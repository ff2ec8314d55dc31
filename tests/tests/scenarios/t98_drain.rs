//! Backends that get no new connections, while those that they have go on.

use std::collections::BTreeSet;

use muster_harness::ready;
use serde_json::json;

use crate::streams::{self, Streams};
use crate::support::{EBPF, NFQUEUE, WITHIN, await_up, await_vip, cluster_by, stop};

const CONNECTIONS: u64 = 400;

#[test]
fn t98_connections_of_backends_that_drain_go_on_until_they_end_by_themselves() {
    drain(EBPF);
}

#[test]
fn t98_connections_of_backends_that_drain_go_on_by_nfqueue() {
    drain(NFQUEUE);
}

fn drain(backend: &str) {
    let Some(mut cluster) = cluster_by(backend, "t98", 2) else { return };
    let mut app = streams::app(4);
    app["cmd"] = json!(streams::serve_on());
    // Longer than the test.
    app["taskKillGracePeriodSeconds"] = json!(600);
    cluster.marathon().create(&app).unwrap();
    let tasks = await_up(&mut cluster, "/streams", 4);
    let vip = await_vip(&mut cluster, 4);
    let mut streams = Streams::start(&cluster, 0);
    let mut held = streams.open(CONNECTIONS, &vip).opened;
    assert_eq!((held.len(), held.values().sum::<u64>()), (4, CONNECTIONS), "{held:?}");
    streams.pump();
    streams.churn(&vip);
    streams.pumped(&mut cluster, &held, "before");

    // One is unhealthy.
    let (sick, killed) = (&tasks[0], &tasks[1]);
    streams::sicken(&cluster, &sick.id);
    let address = streams::address(&cluster, sick);
    streams::await_backend(&mut cluster, &vip, &address, false);
    streams.pumped(&mut cluster, &held, "while one is unhealthy");
    assert!(!streams.new_ones(&mut cluster, 100).contains(&sick.id));

    // Another is told to end, and takes its time.
    let path = format!("/v2/apps/streams/tasks/{}", killed.id);
    cluster.marathon().send("DELETE", &path, None).unwrap().success().unwrap();
    let address = streams::address(&cluster, killed);
    streams::await_backend(&mut cluster, &vip, &address, false);
    streams.pumped(&mut cluster, &held, "while one is being killed");
    let taken = streams.new_ones(&mut cluster, 100);
    assert!(taken.is_disjoint(&BTreeSet::from([sick.id.clone(), killed.id.clone()])), "{taken:?}");
    let state = |cluster: &muster_harness::Cluster| {
        let tasks = cluster.marathon().tasks("/streams")?;
        let state = tasks.iter().find(|task| task.id == killed.id).map(|task| task.state.clone());
        Ok::<_, muster_harness::Error>(state)
    };
    assert_eq!(state(&cluster).unwrap().as_deref(), Some("TASK_KILLING"));
    streams.pumped(&mut cluster, &held, "later");

    // Its clients leave, and so it ends by itself.
    streams.leave(&killed.id);
    held.remove(&killed.id).unwrap();
    cluster
        .wait_for("the one that was killed to end", WITHIN, |cluster| {
            let (state, vips) = (state(cluster)?, cluster.vips(0)?);
            let gone = state.is_none() && !vips[&vip].contains_key(&address);
            ready(gone, || format!("{state:?} {vips:?}"))
        })
        .unwrap();
    streams.pumped(&mut cluster, &held, "at the end");
    drop(streams);
    stop(cluster);
}
