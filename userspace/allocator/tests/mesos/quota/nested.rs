//! Quota of roles that have others below them.

use crate::cluster::{Cluster, offer};
use crate::quota;

#[test]
fn quota_with_nested_role_reservation() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("a", quota("cpus:2;mem:200")).unwrap();
    cluster.agent("cpus(a/b):1;mem(a/b):100");
    let agent2 = cluster.agent("cpus:10;mem:1000");
    // What is reserved to a/b counts for a.
    let framework = cluster.framework("a");
    assert_eq!(cluster.settle(), [offer(&framework, "a", &agent2, "cpus:1;mem:100")]);
}

#[test]
fn quota_with_nested_role_allocation() {
    let mut cluster = Cluster::new();
    let whole = "cpus:1;mem:1024";
    let framework1 = cluster.framework("a/b");
    let agent1 = cluster.agent(whole);
    assert_eq!(cluster.settle(), [offer(&framework1, "a/b", &agent1, whole)]);
    cluster.allocator.update_quota("a", quota(whole)).unwrap();
    cluster.framework("a");
    // What a/b has counts for a, but does not keep a/b from having more.
    let agent2 = cluster.agent(whole);
    assert_eq!(cluster.settle(), [offer(&framework1, "a/b", &agent2, whole)]);
}
