//! What counts against quota.

use std::time::Duration;

use muster_allocator::{FrameworkCapabilities, FrameworkOptions};
use muster_resources::{Operation, Reservation, Resources};

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{both_reservations, in_role, multi_role, quota, reserved, resources, shared_volume};

const DAY: Duration = Duration::from_hours(24);
const ROLE: &str = "quota-role";

#[test]
fn reservation_unallocated() {
    for reservation in both_reservations(ROLE) {
        let mut cluster = Cluster::new();
        let reserved = reserved("cpus:1;mem:1024", &reservation);
        let agent1 = cluster.agent_of(&reserved);
        cluster.allocator.update_quota(ROLE, quota("cpus:1;mem:1024")).unwrap();
        let framework = cluster.framework(ROLE);
        let all = Offer::new(&framework, ROLE, &agent1, &reserved);
        assert_eq!(cluster.settle(), [&all]);
        // What is reserved counts, whether anybody has it or not.
        cluster.decline(&all, DAY);
        cluster.agent("cpus:1;mem:1024");
        assert_eq!(cluster.settle(), NOTHING);
    }
}

#[test]
fn reservation_allocated() {
    for reservation in both_reservations(ROLE) {
        let mut cluster = Cluster::new();
        let reserved = reserved("cpus:1;mem:1024", &reservation);
        let agent1 = cluster.agent_of(&reserved);
        cluster.allocator.update_quota(ROLE, quota("cpus:2;mem:2048")).unwrap();
        let framework = cluster.framework(ROLE);
        assert_eq!(cluster.settle(), [Offer::new(&framework, ROLE, &agent1, &reserved)]);
        let agent2 = cluster.agent("cpus:1;mem:1024");
        assert_eq!(cluster.settle(), [offer(&framework, ROLE, &agent2, "cpus:1;mem:1024")]);
        cluster.agent("cpus:1;mem:1024");
        assert_eq!(cluster.settle(), NOTHING);
    }
}

#[test]
fn shared_allocated_resource_quota_accounting() {
    for reservation in both_reservations(ROLE) {
        let mut cluster = Cluster::new();
        cluster.allocator.update_quota(ROLE, quota("cpus:3;mem:2048;disk:100")).unwrap();
        let all = reserved("cpus:2;mem:1024;disk:50", &reservation);
        let agent1 = cluster.agent_of(&all);
        let framework = cluster.framework_with(FrameworkOptions {
            capabilities: FrameworkCapabilities { shared_resources: true, ..multi_role() },
            ..in_role(ROLE)
        });
        assert_eq!(cluster.settle(), [Offer::new(&framework, ROLE, &agent1, &all)]);
        let volume: Resources = shared_volume(50, "id1", &reservation).into();
        let create = Operation::Create(volume.clone());
        cluster.allocator.update_allocation(&framework, ROLE, &agent1, &create).unwrap();
        let half = reserved("cpus:1;mem:512", &reservation);
        cluster.release(&Offer::new(&framework, ROLE, &agent1, &half));
        // It has the volume twice now, which counts once.
        let again = Offer::new(&framework, ROLE, &agent1, &(half + volume));
        assert_eq!(cluster.batch(), [again]);
        let agent2 = cluster.agent("cpus:1;mem:1024;disk:50");
        let whole = offer(&framework, ROLE, &agent2, "cpus:1;mem:1024;disk:50");
        assert_eq!(cluster.settle(), [whole]);
        cluster.agent("cpus:0.5;mem:512;disk:50");
        assert_eq!(cluster.settle(), NOTHING);
    }
}

#[test]
fn quota_accounting_reserve_allocated_resources() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota(ROLE, quota("cpus:10;mem:1024")).unwrap();
    let framework = cluster.framework(ROLE);
    let agent1 = cluster.agent("cpus:5;mem:512");
    assert_eq!(cluster.settle(), [offer(&framework, ROLE, &agent1, "cpus:5;mem:512")]);
    let principal = Some("principal".to_owned());
    let resources =
        reserved("cpus:5;mem:512", &Reservation { principal, ..Reservation::dynamic(ROLE) });
    let reserve = Operation::Reserve { resources, source: None };
    cluster.allocator.update_allocation(&framework, ROLE, &agent1, &reserve).unwrap();
    // As much is lacking as before, which is half of the agent.
    let agent2 = cluster.agent("cpus:10;mem:1024");
    assert_eq!(cluster.settle(), [offer(&framework, ROLE, &agent2, "cpus:5;mem:512")]);
}

#[test]
fn quota_accounting_unreserve_allocated_resources() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota(ROLE, quota("cpus:1;mem:1024")).unwrap();
    let framework = cluster.framework(ROLE);
    let all = "cpus(quota-role):1;mem(quota-role):1024";
    let agent1 = cluster.agent(all);
    assert_eq!(cluster.settle(), [offer(&framework, ROLE, &agent1, all)]);
    cluster.agent("cpus:1;mem:1024");
    assert_eq!(cluster.settle(), NOTHING);
    // The role has as much as before.
    let unreserve = Operation::Unreserve(resources(all));
    cluster.allocator.update_allocation(&framework, ROLE, &agent1, &unreserve).unwrap();
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn reservation_within_quota() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota(ROLE, quota("cpus:2;mem:256")).unwrap();
    let framework1 = cluster.framework(ROLE);
    let framework2 = cluster.framework("non-quota-role");
    assert_eq!(cluster.settle(), NOTHING);
    let agent1 = cluster.used_agent(
        "cpus:8;mem(quota-role):256",
        &framework1,
        ROLE,
        "cpus:2;mem(quota-role):256",
    );
    assert_eq!(cluster.settle(), [offer(&framework2, "non-quota-role", &agent1, "cpus:6")]);
    let agent2 = cluster.agent("cpus:4");
    assert_eq!(cluster.settle(), [offer(&framework2, "non-quota-role", &agent2, "cpus:4")]);
}
