//! What calls for a cycle, and over which agents.

use muster_allocator::{AgentCapabilities, AgentOptions, Domain, Unavailability};
use muster_resources::{Operation, Reservation, Resources};

use crate::cluster::{Cluster, INTERVAL, NOTHING, offer};
use crate::{in_role, quota, reserved, resources};

const WHOLE: &str = "cpus:2;mem:1024";

/// A framework that has one agent, and another agent that it has declined.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.framework("role");
    cluster.agent(WHOLE);
    assert_eq!(cluster.settle(), [offer("framework1", "role", "agent1", WHOLE)]);
    cluster.agent(WHOLE);
    let declined = offer("framework1", "role", "agent2", WHOLE);
    assert_eq!(cluster.settle(), [&declined]);
    cluster.decline(&declined, 100 * INTERVAL);
    assert!(!cluster.allocator.has_candidates());
    cluster
}

fn calls_for_a_cycle(change: impl FnOnce(&mut Cluster)) -> bool {
    let mut cluster = cluster();
    change(&mut cluster);
    cluster.allocator.has_candidates()
}

fn changed(change: impl FnOnce(&mut AgentOptions)) -> bool {
    calls_for_a_cycle(|cluster| {
        let mut options = AgentOptions {
            hostname: "agent1".to_owned(),
            total: resources(WHOLE),
            ..AgentOptions::default()
        };
        change(&mut options);
        cluster.allocator.update_agent("agent1", options).unwrap();
    })
}

#[test]
fn what_comes_or_wants_more_calls_for_a_cycle() {
    assert!(calls_for_a_cycle(|cluster| drop(cluster.agent(WHOLE))));
    assert!(calls_for_a_cycle(|cluster| drop(cluster.framework("role"))));
    assert!(calls_for_a_cycle(|cluster| {
        cluster.allocator.activate_framework("framework1").unwrap();
    }));
    assert!(calls_for_a_cycle(|cluster| cluster.allocator.revive("framework1", &[]).unwrap()));
    assert!(calls_for_a_cycle(|cluster| {
        let down = Unavailability { start: INTERVAL, duration: None };
        cluster.allocator.update_unavailability("agent1", Some(down)).unwrap();
    }));
    assert!(!changed(|_| {}));
    assert!(changed(|options| options.total = resources("cpus:3")));
    assert!(changed(|options| options.capabilities = AgentCapabilities::NONE));
    assert!(changed(|options| options.domain = Some(Domain::default())));
    assert!(changed(|options| options.hostname = "other".to_owned()));
}

#[test]
fn other_changes_wait_for_the_next_cycle() {
    let changes: [fn(&mut Cluster); 14] = [
        |cluster| cluster.release(&offer("framework1", "role", "agent1", WHOLE)),
        |cluster| cluster.allocator.update_quota("role", quota("cpus:1")).unwrap(),
        |cluster| cluster.allocator.update_weight("role", 2.0).unwrap(),
        |cluster| cluster.allocator.suppress("framework1", &[]).unwrap(),
        |cluster| cluster.allocator.deactivate_framework("framework1").unwrap(),
        |cluster| cluster.allocator.remove_framework("framework1").unwrap(),
        |cluster| cluster.allocator.update_framework("framework1", in_role("role2")).unwrap(),
        |cluster| cluster.allocator.update_whitelist(Some(["agent2".to_owned()].into())),
        |cluster| cluster.allocator.deactivate_agent("agent1").unwrap(),
        |cluster| cluster.allocator.activate_agent("agent1").unwrap(),
        |cluster| cluster.allocator.remove_agent("agent1").unwrap(),
        |cluster| {
            let resources = reserved("cpus:1", &Reservation::dynamic("role"));
            let reserve = Operation::Reserve { resources, source: None };
            cluster.allocator.update_allocation("framework1", "role", "agent1", &reserve).unwrap();
        },
        |cluster| {
            let resources = reserved("cpus:1", &Reservation::dynamic("role"));
            let reserve = Operation::Reserve { resources, source: None };
            cluster.allocator.update_available("agent2", &reserve).unwrap();
        },
        |cluster| {
            let more = resources("disk:10");
            cluster.allocator.add_resource_provider("agent1", &more, [].into()).unwrap();
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert!(!calls_for_a_cycle(change), "change {index}");
    }
}

#[test]
fn a_cycle_for_an_agent_is_about_that_agent_only() {
    let mut cluster = cluster();
    cluster.release(&offer("framework1", "role", "agent1", WHOLE));
    let agent3 = cluster.agent(WHOLE);
    assert_eq!(cluster.settle(), [offer("framework1", "role", &agent3, WHOLE)]);
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), [offer("framework1", "role", "agent1", WHOLE)]);
}

#[test]
fn what_a_provider_brings_for_a_framework_that_comes_later_counts_once() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(WHOLE);
    let used = || [("framework1".to_owned(), resources("cpus:1").allocated_to("role"))].into();
    let none = Resources::default();
    cluster.allocator.add_resource_provider(&agent, &none, used()).unwrap();
    cluster.allocator.add_resource_provider(&agent, &resources("cpus:2"), used()).unwrap();
    let framework = cluster.framework("role");
    let shares = cluster.allocator.shares();
    assert_eq!(shares.roles[0].allocations, 1);
    assert_eq!(cluster.settle(), [offer(&framework, "role", &agent, "cpus:2;mem:1024")]);
    assert_eq!(
        cluster.allocator.allocation(&framework, "role", &agent),
        resources("cpus:4;mem:1024")
    );
}
