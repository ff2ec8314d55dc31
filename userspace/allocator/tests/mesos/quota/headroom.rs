//! What is kept for roles that lack something.

use std::time::Duration;

use muster_resources::{Operation, Reservation, Resources};

use crate::cluster::{Cluster, INTERVAL, NOTHING, Offer, offer};
use crate::{both_reservations, quota, reserved, resources};

#[test]
fn non_quota_role_reservation_with_quota_role() {
    for reservation in both_reservations("non-quota-role") {
        let mut cluster = Cluster::new();
        let unreserved = resources("cpus:2;mem:2048");
        let reserved = reserved("cpus:2;mem:2048", &reservation);
        let agent = cluster.agent_of(&(unreserved.clone() + &reserved));
        cluster.allocator.update_quota("quota-role", quota("cpus:2;mem:2048")).unwrap();
        let framework1 = cluster.framework("quota-role");
        let first = Offer::new(&framework1, "quota-role", &agent, &unreserved);
        assert_eq!(cluster.settle(), [&first]);
        cluster.decline(&first, Duration::from_hours(24));
        // What is reserved to it is not kept for others.
        let framework2 = cluster.framework("non-quota-role");
        let own = Offer::new(&framework2, "non-quota-role", &agent, &reserved);
        assert_eq!(cluster.settle(), [own]);
    }
}

#[test]
fn quota_headroom_when_reservations_exceed_quota() {
    for reservation in both_reservations("quota-role-w-reservation") {
        let mut cluster = Cluster::new();
        for role in ["quota-role-w-reservation", "quota-role-no-reservation"] {
            cluster.allocator.update_quota(role, quota("cpus:1;mem:1024")).unwrap();
        }
        cluster.agent_of(&reserved("cpus:2;mem:2048", &reservation));
        cluster.agent("cpus:1;mem:1024");
        // The second agent is kept: what one role has beyond its quota is not the other's.
        let framework = cluster.framework("non-quota-role");
        assert_eq!(cluster.settle(), NOTHING);
        let agent3 = cluster.agent("cpus:1;mem:1024");
        let third = offer(&framework, "non-quota-role", &agent3, "cpus:1;mem:1024");
        assert_eq!(cluster.settle(), [third]);
    }
}

/// What a framework is offered is one of several equal agents.
fn check_one_of(offers: &[Offer], framework: &str, role: &str, all: &str) {
    let [offer] = offers else { panic!("{offers:?}") };
    assert_eq!((offer.framework.as_str(), offer.role.as_str()), (framework, role));
    assert_eq!(offer.resources, resources(all));
}

#[test]
fn quota_absent_framework_whole_agent() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_quota("quota-role", quota("cpus:2;mem:1024")).unwrap();
    let framework = cluster.framework("no-quota-role");
    let whole = "cpus:2;mem:1024";
    cluster.agent(whole);
    assert_eq!(cluster.settle(), NOTHING);
    cluster.agent(whole);
    check_one_of(&cluster.settle(), &framework, "no-quota-role", whole);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn quota_set_aside_reserved_resources() {
    let mut cluster = Cluster::new();
    let all = "cpus:4;mem:512;disk:0";
    let agent1 = cluster.agent(all);
    let agent2 = cluster.agent(all);
    let principal = Some("ops".to_owned());
    let reserved: Resources =
        reserved(all, &Reservation { principal, ..Reservation::dynamic("no-quota-role") });
    let reserve = Operation::Reserve { resources: reserved.clone(), source: None };
    cluster.allocator.update_available(&agent2, &reserve).unwrap();
    let framework1 = cluster.framework("quota-role");
    cluster.allocator.update_quota("quota-role", quota("cpus:4;mem:512")).unwrap();
    let first = offer(&framework1, "quota-role", &agent1, all);
    assert_eq!(cluster.settle(), [&first]);
    cluster.decline(&first, 10 * INTERVAL);
    assert_eq!(cluster.batch(), NOTHING);
    let framework2 = cluster.framework("no-quota-role");
    let second = Offer::new(&framework2, "no-quota-role", &agent2, &reserved);
    assert_eq!(cluster.settle(), [&second]);
    cluster.decline(&second, 10 * INTERVAL);
    // One is reserved, the other is kept.
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn quota_with_ancestor_reservations() {
    let mut cluster = Cluster::new();
    let whole = "cpus:1;mem:1024";
    cluster.allocator.update_quota("quota-role", quota(whole)).unwrap();
    let agent1 = cluster.agent("cpus(a):1;mem(a):1024");
    let framework1 = cluster.framework("a/b");
    let own = offer(&framework1, "a/b", &agent1, "cpus(a):1;mem(a):1024");
    assert_eq!(cluster.settle(), [own]);
    let framework2 = cluster.framework("no-quota-role");
    assert_eq!(cluster.settle(), NOTHING);
    // One of two is kept: what is reserved to a and allocated to a/b is not set aside twice.
    cluster.agent(whole);
    cluster.agent(whole);
    check_one_of(&cluster.settle(), &framework2, "no-quota-role", whole);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn quota_headroom_with_nested_role_allocation() {
    let mut cluster = Cluster::new();
    let whole = "cpus:1;mem:100";
    let framework1 = cluster.framework("a/b");
    let agent1 = cluster.agent(whole);
    assert_eq!(cluster.settle(), [offer(&framework1, "a/b", &agent1, whole)]);
    let framework2 = cluster.framework("a");
    let agent2 = cluster.agent(whole);
    assert_eq!(cluster.settle(), [offer(&framework2, "a", &agent2, whole)]);
    cluster.allocator.update_quota("quota-role", quota(whole)).unwrap();
    cluster.agent(whole);
    assert_eq!(cluster.settle(), NOTHING);
    cluster.agent(whole);
    assert_eq!(cluster.settle().len(), 1);
    assert_eq!(cluster.batch(), NOTHING);
}
