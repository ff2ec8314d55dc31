//! What is measured, under Mesos' names.

use std::time::Instant;

use muster_allocator::{FrameworkCapabilities, FrameworkOptions, Options, Quota};

use crate::cluster::{Cluster, INTERVAL, offer};
use crate::{in_role, multi_role, quota_and_limits};

/// Totals of cpus, mem and disk, and what is offered or allocated of them.
fn check_resources(cluster: &Cluster, total: [f64; 3], held: [f64; 3]) {
    for (index, name) in ["cpus", "mem", "disk"].into_iter().enumerate() {
        let metric = |what: &str| cluster.metric(&format!("resources/{name}/{what}"));
        assert_eq!(metric("total"), Some(total[index]), "{name}");
        assert_eq!(metric("offered_or_allocated"), Some(held[index]), "{name}");
    }
}

#[test]
fn resource_metrics() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    cluster.settle();
    check_resources(&cluster, [2.0, 1024.0, 0.0], [0.0; 3]);
    cluster.framework("role1");
    cluster.settle();
    check_resources(&cluster, [2.0, 1024.0, 0.0], [2.0, 1024.0, 0.0]);
    cluster.allocator.remove_agent(&agent).unwrap();
    check_resources(&cluster, [0.0; 3], [0.0; 3]);
}

/// There is no state before initialization here: the nearest to it is that there is nothing.
#[test]
fn resource_metrics_uninitialized() {
    check_resources(&Cluster::new(), [0.0; 3], [0.0; 3]);
}

#[test]
fn quota_metrics() {
    let mut cluster = Cluster::new();
    let check = |cluster: &Cluster, expected: [Option<f64>; 4]| {
        let names = ["cpus/guarantee", "cpus/limit", "mem/guarantee", "mem/limit"];
        let metrics =
            names.map(|name| cluster.metric(&format!("quota/roles/role/resources/{name}")));
        assert_eq!(metrics, expected);
    };
    check(&cluster, [None; 4]);
    cluster.allocator.update_quota("role", quota_and_limits("cpus:1", "mem:1024")).unwrap();
    check(&cluster, [Some(1.0), None, None, Some(1024.0)]);
    cluster.allocator.update_quota("role", quota_and_limits("cpus:2", "mem:1024")).unwrap();
    check(&cluster, [Some(2.0), None, None, Some(1024.0)]);
    cluster.allocator.update_quota("role", Quota::default()).unwrap();
    check(&cluster, [None; 4]);
}

#[test]
fn allocation_runs_metric() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.metric("allocation_runs"), Some(0.0));
    cluster.agent("cpus:2;mem:1024;disk:0");
    cluster.settle();
    cluster.framework("role");
    cluster.settle();
    assert_eq!(cluster.metric("allocation_runs"), Some(2.0));
}

/// Runs two cycles against the clock, and checks that their times are there, and how they are
/// distributed.
fn check_times(name: &str) {
    let distribution = ["count", "min", "max", "p50", "p95", "p99", "p999", "p9999"];
    let mut cluster = Cluster::new();
    let is_there = |cluster: &Cluster, part: &str| cluster.metric(&format!("{name}{part}"));
    assert_eq!(is_there(&cluster, ""), None);
    for part in distribution {
        assert_eq!(is_there(&cluster, &format!("/{part}")), None);
    }
    let mut run = |change: fn(&mut Cluster) -> String| {
        change(&mut cluster);
        let triggered = Instant::now();
        let started = Instant::now();
        cluster.settle();
        cluster.allocator.note_run(cluster.now, started - triggered, started.elapsed());
    };
    run(|cluster| cluster.agent("cpus:2;mem:1024;disk:0"));
    run(|cluster| cluster.framework("role1"));
    assert!(is_there(&cluster, "").is_some_and(|time| time >= 0.0));
    assert_eq!(is_there(&cluster, "/count"), Some(2.0));
    for part in distribution {
        assert!(is_there(&cluster, &format!("/{part}")).is_some(), "{part}");
    }
}

#[test]
fn allocation_run_timer_metrics() {
    check_times("allocation_run_ms");
}

#[test]
fn allocation_run_latency_metrics() {
    check_times("allocation_run_latency_ms");
}

#[test]
fn active_offer_filters_metrics() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:1024;disk:0");
    cluster.settle();
    for (role, active_a, active_b) in [
        ("roleA", Some(1.0), None),
        ("roleB", Some(1.0), Some(1.0)),
        ("roleA", Some(2.0), Some(1.0)),
    ] {
        let framework = cluster.framework(role);
        let all = offer(&framework, role, &agent, "cpus:2;mem:1024");
        assert_eq!(cluster.settle(), [&all]);
        cluster.decline(&all, 100 * INTERVAL);
        assert_eq!(cluster.metric("offer_filters/roles/roleA/active"), active_a);
        assert_eq!(cluster.metric("offer_filters/roles/roleB/active"), active_b);
    }
}

fn dominant_shares(cluster: &Cluster) -> [Option<f64>; 2] {
    ["roleA", "roleB"].map(|role| cluster.metric(&format!("roles/{role}/shares/dominant")))
}

#[test]
fn dominant_share_metrics() {
    let mut cluster = Cluster::new();
    let agent1 = cluster.agent("cpus:1;mem:1024");
    let framework1 = cluster.framework("roleA");
    let first = offer(&framework1, "roleA", &agent1, "cpus:1;mem:1024");
    assert_eq!(cluster.settle(), [&first]);
    assert_eq!(dominant_shares(&cluster), [Some(1.0), None]);
    cluster.release(&first);
    assert_eq!(dominant_shares(&cluster), [Some(0.0), None]);
    // It has been offered something less often.
    let framework2 = cluster.framework("roleB");
    cluster.settle();
    assert_eq!(dominant_shares(&cluster), [Some(0.0), Some(1.0)]);
    cluster.agent("cpus:1;mem:1024");
    cluster.settle();
    assert_eq!(dominant_shares(&cluster), [Some(0.5), Some(0.5)]);
    cluster.allocator.remove_framework(&framework2).unwrap();
    assert_eq!(dominant_shares(&cluster), [Some(0.5), None]);
}

#[test]
fn dominant_share_metrics_with_fairness_exclusion() {
    let mut cluster =
        Cluster::with(Options { excluded: ["gpus".into()].into(), ..Options::default() });
    cluster.agent("cpus:1;mem:1024;gpus:1");
    cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { gpu_resources: true, ..multi_role() },
        ..in_role("roleA")
    });
    cluster.settle();
    assert_eq!(dominant_shares(&cluster), [Some(1.0), None]);
    cluster.framework("roleB");
    cluster.settle();
    cluster.agent("cpus:3;mem:3072");
    cluster.settle();
    assert_eq!(dominant_shares(&cluster), [Some(0.25), Some(0.75)]);
}
