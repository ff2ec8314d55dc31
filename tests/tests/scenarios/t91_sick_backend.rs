//! A backend that the master knows to be unhealthy gets no new connections.

use muster_harness::{Error, ready};
use nix::time::{ClockId, clock_gettime};

use crate::streams::{self, Streams};
use crate::support::{EBPF, NFQUEUE, WITHIN, await_up, await_vip, cluster_by, stop};

/// What is promised.
const WITHIN_MS: i64 = 1000;

fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000
}

#[test]
fn t91_no_new_connection_reaches_a_backend_a_second_after_the_master_knew() {
    none_a_second_later(EBPF);
}

#[test]
fn t91_nor_by_nfqueue() {
    none_a_second_later(NFQUEUE);
}

fn none_a_second_later(backend: &str) {
    let Some(mut cluster) = cluster_by(backend, "t91", 3) else { return };
    cluster.marathon().create(&streams::app(3)).unwrap();
    let tasks = await_up(&mut cluster, "/streams", 3);
    let vip = await_vip(&mut cluster, 3);
    let mut clients: Vec<Streams> = (0..3).map(|index| Streams::start(&cluster, index)).collect();
    for client in &mut clients {
        client.churn(&vip);
        assert_eq!(client.new_ones(&mut cluster, 100).len(), 3, "all get some");
    }

    let sick = &tasks[0].id;
    streams::sicken(&cluster, sick);
    let known = cluster
        .wait_for("the master to know", WITHIN, |cluster| {
            // Before it is asked: it knew at the latest when it answered.
            let asked = now_ms();
            let state = cluster.master_get("/state")?;
            let tasks = state["frameworks"][0]["tasks"].as_array();
            let task = tasks.into_iter().flatten().find(|task| task["id"] == **sick);
            let last = task.and_then(|task| task["statuses"].as_array()?.last().cloned());
            let last =
                last.ok_or_else(|| Error::NotYet(format!("no status of {sick}: {state}")))?;
            ready(last["healthy"] == false, || last.to_string())?;
            Ok(asked)
        })
        .unwrap();

    // Another second and more, by what was connected meanwhile.
    let mut last = None;
    for client in &mut clients {
        let mut latest = known;
        cluster
            .wait_for("new connections of more than a second", WITHIN, |_| {
                let churned = client.churned();
                assert!(churned.failed.is_empty(), "{:?}", churned.failed);
                for (server, made) in &churned.servers {
                    if server == sick {
                        last = last.max(Some(made.last_ms));
                    }
                    latest = latest.max(made.last_ms);
                }
                ready(latest > known + 2 * WITHIN_MS, || format!("{churned:?}"))
            })
            .unwrap();
    }
    let after = last.map(|last| last - known);
    println!("the last new connection to it began {after:?} ms after the master knew");
    assert!(after.is_none_or(|after| after <= WITHIN_MS), "{after:?} ms");
    // And none since, while the others have all of them.
    for client in &mut clients {
        let others = client.new_ones(&mut cluster, 100);
        assert!(others.len() == 2 && !others.contains(sick), "{others:?}");
    }
    drop(clients);
    stop(cluster);
}
