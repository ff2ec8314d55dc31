//! Who comes first.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{AgentOptions, Allocator, Error, FrameworkOptions, Options, Quota};
use muster_resources::{Limits, Quantities, Resources};

fn agent(resources: &str) -> AgentOptions {
    AgentOptions { total: Resources::parse(resources).unwrap(), ..AgentOptions::default() }
}

fn framework(role: &str) -> FrameworkOptions {
    FrameworkOptions { roles: vec![role.to_owned()], active: true, ..FrameworkOptions::default() }
}

#[test]
fn unreserved_drf() {
    let mut allocator = Allocator::new(Options::default());
    let none = BTreeMap::new;
    let now = Duration::ZERO;
    let steps = [
        ("agent1", "cpus:2;mem:1024", Some(("framework1", "role1")), "framework1"),
        ("agent2", "cpus:1;mem:512", Some(("framework2", "role2")), "framework2"),
        ("agent3", "cpus:3;mem:2048", None, "framework2"),
        ("agent4", "cpus:4;mem:4096", Some(("framework3", "role1")), "framework3"),
        ("agent5", "cpus:1;mem:512", Some(("framework4", "role1")), "framework2"),
    ];
    for (id, resources, joins, wins) in steps {
        if let Some((id, role)) = joins {
            allocator.add_framework(id, framework(role), none()).unwrap();
        }
        allocator.add_agent(id, agent(resources), none()).unwrap();
        let grants = allocator.allocate(now);
        let [grant] = &grants[..] else { panic!("{grants:?}") };
        assert_eq!((grant.framework.as_str(), grant.agent.as_str()), (wins, id));
        assert_eq!(grant.resources.clone().unallocated().to_string(), resources);
    }
}

/// One agent and a framework in each of the roles, named alike.
fn cluster(total: &str, roles: &[&str]) -> Allocator {
    let mut allocator = Allocator::new(Options::default());
    allocator.add_agent("agent", agent(total), BTreeMap::new()).unwrap();
    for role in roles {
        allocator.add_framework(role, framework(role), BTreeMap::new()).unwrap();
    }
    allocator
}

fn demands(tasks: &[(&str, &str)]) -> BTreeMap<String, Resources> {
    let demand = |(id, task): &(&str, &str)| ((*id).to_owned(), Resources::parse(task).unwrap());
    tasks.iter().map(demand).collect()
}

fn counts(tasks: &BTreeMap<String, u64>) -> Vec<u64> {
    tasks.values().copied().collect()
}

/// The example of the paper on dominant resource fairness.
#[test]
fn filling_equalizes_dominant_shares() {
    let mut allocator = cluster("cpus:9;mem:18432", &["A", "B"]);
    let filling =
        allocator.fill(&demands(&[("A", "cpus:1;mem:4096"), ("B", "cpus:3;mem:1024")])).unwrap();
    assert_eq!(counts(&filling.tasks), [3, 2]);
    assert_eq!(filling.shares.values().copied().collect::<Vec<_>>(), [2.0 / 3.0, 2.0 / 3.0]);
    let order: String = filling.launches.iter().map(|launch| launch.framework.as_str()).collect();
    assert_eq!(order, "ABABA");
    assert_eq!(allocator.available("agent").unwrap().to_string(), "mem:4096");
    let used = allocator.role("A").unwrap().consumed;
    assert_eq!(used, Quantities::parse("cpus:3;mem:12288").unwrap());
}

#[test]
fn filling_goes_by_weights() {
    let mut allocator = cluster("cpus:12", &["a", "b"]);
    allocator.update_weight("b", 2.0).unwrap();
    let filling = allocator.fill(&demands(&[("a", "cpus:1"), ("b", "cpus:1")])).unwrap();
    assert_eq!(counts(&filling.tasks), [4, 8]);
}

#[test]
fn filling_keeps_to_limits_and_guarantees() {
    let mut allocator = cluster("cpus:10;mem:1000", &["a", "b"]);
    let quota = |guarantees, limits| Quota {
        guarantees: Quantities::parse(guarantees).unwrap(),
        limits: Limits::parse(limits).unwrap(),
    };
    allocator.update_quota("a", quota("", "cpus:2")).unwrap();
    // Nobody is in this role, and its part is kept all the same.
    allocator.update_quota("c", quota("cpus:3", "")).unwrap();
    let filling = allocator.fill(&demands(&[("a", "cpus:1"), ("b", "cpus:1")])).unwrap();
    assert_eq!(counts(&filling.tasks), [2, 5]);
}

/// What is reserved counts against the limit already.
#[test]
fn filling_uses_reservations_of_roles_at_their_limits() {
    let mut allocator = cluster("cpus(a):2;mem(a):64;cpus:8;mem:512", &["a", "b"]);
    let limits = Limits::parse("cpus:2;mem:64").unwrap();
    allocator.update_quota("a", Quota { limits, ..Quota::default() }).unwrap();
    let filling = allocator.fill(&demands(&[("a", "cpus(a):1"), ("b", "cpus:1")])).unwrap();
    assert_eq!(counts(&filling.tasks), [2, 8]);
    assert_eq!(counts(&allocator.fill(&demands(&[("a", "cpus:1")])).unwrap().tasks), [0]);
}

#[test]
fn tasks_that_nothing_runs_out_for_are_refused() {
    let mut allocator = cluster("cpus:1", &["a"]);
    let none = allocator.fill(&demands(&[("a", "")])).unwrap_err();
    assert_eq!(none, Error::Task { framework: "a".to_owned(), task: String::new() });
    let unknown = allocator.fill(&demands(&[("b", "cpus:1")])).unwrap_err();
    assert_eq!(unknown, Error::UnknownFramework("b".to_owned()));
}
