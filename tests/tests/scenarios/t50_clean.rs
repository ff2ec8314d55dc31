//! A cluster leaves the machine as it was, however it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use muster_harness::snapshot::Snapshot;
use muster_harness::{Cluster, eventually, privileged, ready};

use crate::support::{await_up, await_vip, cluster, nginx, sleeper};

/// Asks that namespaces, mounts, pins, cgroups and processes are as in `before`.
fn assert_as_before(before: &Snapshot) {
    eventually("the machine to be as before", Duration::from_secs(30), || {
        let changes = before.changes(&Snapshot::take()?);
        ready(changes.is_empty(), || format!("{changes:#?}"))
    })
    .unwrap();
}

fn busy(name: &str) -> Cluster {
    let mut cluster = cluster(name, 2).unwrap();
    cluster.marathon().create(&nginx(2)).unwrap();
    cluster.marathon().create(&sleeper("/sleepers", 4)).unwrap();
    await_up(&mut cluster, "/nginx", 2);
    await_up(&mut cluster, "/sleepers", 4);
    await_vip(&mut cluster, 2);
    cluster
}

#[test]
fn t50_a_stopped_cluster_leaves_nothing() {
    if !privileged() {
        return;
    }
    let before = Snapshot::take().unwrap();
    let cluster = busy("t50");
    assert!(!before.changes(&Snapshot::take().unwrap()).is_empty());
    let left = cluster.stop().unwrap();
    assert!(left.is_empty(), "the agents' own cleanup left {left:#?}");
    assert_as_before(&before);
}

#[test]
fn t50_a_panic_leaves_nothing() {
    if !privileged() {
        return;
    }
    let before = Snapshot::take().unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _cluster = busy("t51");
        panic!("a scenario fails");
    }));
    assert!(panic.is_err());
    assert_as_before(&before);
}

#[test]
fn t50_killed_agents_leave_what_their_next_start_cleans_up() {
    if !privileged() {
        return;
    }
    let before = Snapshot::take().unwrap();
    let mut cluster = busy("t52");
    cluster.master().daemon().kill().unwrap();
    cluster.agent(0).daemon().kill().unwrap();
    cluster.agent(1).daemon().kill().unwrap();
    let left = cluster.stop().unwrap();
    assert!(left.is_empty(), "`--recover cleanup` left {left:#?}");
    assert_as_before(&before);
}
