//! A new master waits for agents.

use std::time::Duration;

use crate::cluster::{Cluster, NOTHING, Offer};
use crate::quota;

const WHOLE: &str = "cpus:2;mem:1024";

/// After a master that knew this many agents, and quota of a role or not.
fn recovering(agents: usize, with_quota: bool) -> Cluster {
    let mut cluster = Cluster::new();
    let quotas = with_quota.then(|| ("quota-role".to_owned(), quota("cpus:1")));
    cluster.allocator.start_recovery(cluster.now, agents, quotas.into_iter().collect()).unwrap();
    cluster.framework("role");
    cluster
}

/// What is offered with so many agents back.
fn offered(cluster: &mut Cluster, agents: usize) -> Vec<Offer> {
    for _ in 0..agents {
        cluster.agent(WHOLE);
    }
    cluster.settle()
}

#[test]
fn nothing_is_offered_before_most_agents_are_back() {
    // Four fifths of nine, cut to a whole number.
    let mut cluster = recovering(9, true);
    assert_eq!(offered(&mut cluster, 6), NOTHING);
    assert_eq!(cluster.batch(), NOTHING);
    assert_eq!(cluster.metric("allocation_runs"), Some(0.0));
    assert!(!offered(&mut cluster, 1).is_empty());
    assert!(!cluster.batch().is_empty());
}

#[test]
fn nobody_waits_for_ever() {
    let mut cluster = recovering(10, true);
    assert_eq!(offered(&mut cluster, 2), NOTHING);
    cluster.now = Duration::from_secs(598);
    assert_eq!(cluster.batch(), NOTHING);
    assert!(!cluster.batch().is_empty());
}

#[test]
fn nobody_waits_without_quota_or_for_no_agents() {
    for (agents, with_quota) in [(10, false), (0, true), (1, true)] {
        let mut cluster = recovering(agents, with_quota);
        assert!(!cluster.allocator.is_recovering(cluster.now));
        assert!(!offered(&mut cluster, 1).is_empty());
    }
}
