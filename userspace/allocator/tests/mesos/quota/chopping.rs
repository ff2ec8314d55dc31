//! Agents are cut at what is promised, where they can be cut.

use muster_resources::Resources;

use crate::cluster::{Cluster, Offer, offer};
use crate::{mount, quota, resources};

#[test]
fn quota_allocation_granularity() {
    let mut cluster = Cluster::new();
    let framework1 = cluster.framework("quota-role");
    cluster.allocator.update_quota("quota-role", quota("cpus:0.5;mem:200")).unwrap();
    let agent = cluster.agent("cpus:1;mem:512;disk:0");
    let exact = offer(&framework1, "quota-role", &agent, "cpus:0.5;mem:200");
    assert_eq!(cluster.settle(), [exact]);
    let framework2 = cluster.framework("no-quota-role");
    let rest = offer(&framework2, "no-quota-role", &agent, "cpus:0.5;mem:312");
    assert_eq!(cluster.settle(), [rest]);
}

#[test]
fn quota_allocation_granularity_unchoppable_resource() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role", quota("cpus:2;mem:2048;disk:150")).unwrap();
    let small = resources("cpus:0.5;mem:512");
    let with_disk = small.clone() + Resources::from(mount(100));
    let agent1 = cluster.agent_of(&with_disk);
    let framework = cluster.framework("quota-role");
    let offer = |agent: &str, resources| Offer::new(&framework, "quota-role", agent, resources);
    assert_eq!(cluster.settle(), [offer(&agent1, &with_disk)]);
    // Of the disk only 50 are lacking, and it cannot be cut.
    let agent2 = cluster.agent_of(&with_disk);
    assert_eq!(cluster.settle(), [offer(&agent2, &small)]);
    let agent3 = cluster.agent("cpus:2;mem:2048;disk:150");
    assert_eq!(cluster.settle(), [offer(&agent3, &resources("cpus:1;mem:1024;disk:50"))]);
}

#[test]
fn quota_allocation_multiple_disk() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role", quota("cpus:1;mem:512;disk:100")).unwrap();
    let mut both = resources("cpus:1;mem:512;disk:50");
    both.add(mount(50));
    let agent = cluster.agent_of(&both);
    let framework = cluster.framework("quota-role");
    assert_eq!(cluster.settle(), [Offer::new(&framework, "quota-role", &agent, &both)]);
}

#[test]
fn quota_role_allocate_non_quota_resource() {
    let mut cluster = Cluster::new();
    let all = "cpus:1;mem:1024;ports:[31000-32000]";
    cluster.allocator.update_quota("quota-role-1", quota("cpus:2")).unwrap();
    let agent1 = cluster.agent(all);
    let framework = cluster.framework("quota-role-1");
    assert_eq!(cluster.settle(), [offer(&framework, "quota-role-1", &agent1, all)]);
    // The memory is kept for another role now.
    cluster.allocator.update_quota("quota-role-2", quota("mem:1024")).unwrap();
    let agent2 = cluster.agent(all);
    let without_mem = offer(&framework, "quota-role-1", &agent2, "cpus:1;ports:[31000-32000]");
    assert_eq!(cluster.settle(), [without_mem]);
    // It has all of its cpus, and the second agent's memory is kept still.
    let agent3 = cluster.agent(all);
    let without_cpus = offer(&framework, "quota-role-1", &agent3, "mem:1024;ports:[31000-32000]");
    assert_eq!(cluster.settle(), [without_cpus]);
}

#[test]
fn disproportionate_quota_vs_allocation() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role", quota("cpus:4;mem:1024")).unwrap();
    let framework = cluster.framework("quota-role");
    let agent1 = cluster.agent("cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [offer(&framework, "quota-role", &agent1, "cpus:2;mem:1024")]);
    let agent2 = cluster.agent("cpus:2;mem:1024");
    assert_eq!(cluster.settle(), [offer(&framework, "quota-role", &agent2, "cpus:2")]);
}
