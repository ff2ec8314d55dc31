//! What is set aside for roles.

use muster_allocator::{FrameworkCapabilities, FrameworkOptions};
use muster_resources::{Reservation, Resource};

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{in_role, multi_role, resources};

#[test]
fn reservations() {
    let mut cluster = Cluster::new();
    let agent1 = cluster.agent("cpus(role1):2;mem(role1):1024;disk(role1):0");
    let agent2 = cluster.agent("cpus(role2):2;mem(role2):1024;cpus:1;mem:1024;disk:0");
    // Nobody is in role3.
    cluster.agent("cpus(role3):1;mem(role3):1024;disk(role3):0");
    let framework1 = cluster.framework("role1");
    let reserved = offer(&framework1, "role1", &agent1, "cpus(role1):2;mem(role1):1024");
    let unreserved = offer(&framework1, "role1", &agent2, "cpus:1;mem:1024");
    assert_eq!(cluster.settle(), [reserved, unreserved]);
    let framework2 = cluster.framework("role2");
    let rest = offer(&framework2, "role2", &agent2, "cpus(role2):2;mem(role2):1024");
    assert_eq!(cluster.settle(), [rest]);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn recover_resources() {
    let mut cluster = Cluster::new();
    let all = "cpus(role1):1;mem(role1):200;cpus:1;mem:200;disk:0";
    let agent = cluster.agent(all);
    let framework = cluster.framework("role1");
    let all = offer(&framework, "role1", &agent, all);
    assert_eq!(cluster.settle(), [&all]);
    let reserved = all.part(&all.resources.reserved_to("role1"));
    cluster.release(&reserved);
    assert_eq!(cluster.batch(), [reserved]);
    let unreserved = all.part(&all.resources.unreserved());
    cluster.release(&unreserved);
    assert_eq!(cluster.batch(), [unreserved]);
}

#[test]
fn framework_loop_mesos_9554() {
    let mut cluster = Cluster::new();
    let framework1 = cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { reservation_refinement: true, ..multi_role() },
        ..in_role("parent/child")
    });
    let agent1 = cluster.agent("cpus:1;mem:1;disk:1");
    let expected = offer(&framework1, "parent/child", &agent1, "cpus:1;mem:1;disk:1");
    assert_eq!(cluster.settle(), [expected]);
    // It has less, but does not know refined reservations; the other must not miss out.
    cluster.framework("parent/child");
    assert_eq!(cluster.settle(), NOTHING);
    let refined = resources("cpus:1;mem:1;disk:1")
        .push_reservation(&Reservation::dynamic("parent"))
        .and_then(|reserved| reserved.push_reservation(&Reservation::dynamic("parent/child")))
        .unwrap();
    assert!(refined.iter().all(Resource::has_refined_reservations));
    let agent2 = cluster.agent_of(&refined);
    let expected = Offer::new(&framework1, "parent/child", &agent2, &refined);
    assert_eq!(cluster.settle(), [expected]);
}

#[test]
fn offer_ancestor_reservations_to_descendant_child() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("a/b/c");
    for all in [
        "cpus(a):1;mem(a):512;disk(a):0",
        "cpus:2;mem:1024;disk:0;cpus(a/b):4;mem(a/b):2048;disk(a/b):0",
    ] {
        let agent = cluster.agent(all);
        assert_eq!(cluster.settle(), [offer(&framework, "a/b/c", &agent, all)]);
    }
}
