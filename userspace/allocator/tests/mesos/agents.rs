//! Agents that change.

use muster_allocator::{AgentCapabilities, AgentOptions, FrameworkCapabilities, FrameworkOptions};
use muster_resources::Resources;

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{in_role, multi_role, resources, revocable};

const ALL: &str = "cpus:100;mem:100;disk:100";

fn inactive(role: &str) -> FrameworkOptions {
    FrameworkOptions { active: false, ..in_role(role) }
}

/// A framework that takes what may be taken back.
fn takes_revocable(cluster: &mut Cluster) -> String {
    cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { revocable_resources: true, ..multi_role() },
        ..in_role("role1")
    })
}

#[test]
fn add_resource_provider() {
    let mut cluster = Cluster::new();
    let framework1 = cluster.framework_with(inactive("role1"));
    let framework2 = cluster.framework_with(inactive("role2"));
    let one = "cpus:1;mem:100;disk:10";
    let agent1 = cluster.agent(one);
    let two = resources("cpus:2;mem:200;disk:20");
    let used = [(framework1.clone(), two.clone().allocated_to("role1"))].into();
    cluster.allocator.add_resource_provider(&agent1, &two, used).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    cluster.allocator.activate_framework(&framework2).unwrap();
    assert_eq!(cluster.settle(), [offer(&framework2, "role2", &agent1, one)]);
    cluster.allocator.activate_framework(&framework1).unwrap();
    // The first has 2/4, the second 1/4.
    let agent2 = cluster.agent(one);
    assert_eq!(cluster.settle(), [offer(&framework2, "role2", &agent2, one)]);
}

#[test]
fn add_resource_provider_overallocated() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:2;mem:200;disk:20");
    let framework = cluster.framework_with(inactive("role"));
    cluster.settle();
    let half = "cpus:1;mem:100;disk:10";
    let used = [(framework.clone(), resources(half).allocated_to("role"))].into();
    cluster.allocator.add_resource_provider(&agent, &Resources::default(), used).unwrap();
    assert!(!cluster.allocator.has_candidates(), "a provider is no reason to allocate");
    cluster.allocator.activate_framework(&framework).unwrap();
    assert_eq!(cluster.batch(), [offer(&framework, "role", &agent, half)]);
}

#[test]
fn update_slave_oversubscribed_resources() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(ALL);
    let framework = takes_revocable(&mut cluster);
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, ALL)]);
    cluster.set_total(&agent, &(resources(ALL) + revocable("cpus:10")));
    let ten = Offer::new(&framework, "role1", &agent, &revocable("cpus:10"));
    assert_eq!(cluster.settle(), [ten]);
    cluster.set_total(&agent, &(resources(ALL) + revocable("cpus:12")));
    let two = Offer::new(&framework, "role1", &agent, &revocable("cpus:2"));
    assert_eq!(cluster.settle(), [two]);
    cluster.set_total(&agent, &(resources(ALL) + revocable("cpus:5")));
    assert_eq!(cluster.settle(), NOTHING);
}

#[test]
fn update_slave_total_resources() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(ALL);
    let framework = cluster.framework("role1");
    let first = offer(&framework, "role1", &agent, ALL);
    assert_eq!(cluster.settle(), [&first]);
    cluster.set_total(&agent, &resources("cpus:112;mem:100;disk:100"));
    let more = offer(&framework, "role1", &agent, "cpus:12");
    assert_eq!(cluster.settle(), [&more]);
    // More is held than there is.
    let half = "cpus:50;mem:50;disk:50";
    cluster.set_total(&agent, &resources(half));
    assert_eq!(cluster.settle(), NOTHING);
    cluster.release(&Offer::new(&framework, "role1", &agent, &(first.resources + more.resources)));
    let half = offer(&framework, "role1", &agent, half);
    assert_eq!(cluster.batch(), [&half]);
    cluster.set_total(&agent, &resources(ALL));
    assert_eq!(cluster.settle(), [half]);
}

#[test]
fn update_slave_capabilities() {
    let mut cluster = Cluster::new();
    let old = AgentOptions {
        total: resources("cpus:1;mem:1;disk:1"),
        capabilities: AgentCapabilities::NONE,
        ..AgentOptions::default()
    };
    let agent = cluster.agent_with(old.clone());
    let framework = cluster.framework("role1");
    assert_eq!(cluster.settle(), NOTHING);
    let new =
        AgentOptions { hostname: agent.clone(), capabilities: AgentCapabilities::default(), ..old };
    cluster.allocator.update_agent(&agent, new).unwrap();
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, "cpus:1;mem:1;disk:1")]);
}

#[test]
fn remove_slave_recover_resources() {
    let mut cluster = Cluster::new();
    let agent1 = cluster.agent("cpus:2;mem:200");
    let framework1 = cluster.framework("role");
    assert_eq!(cluster.settle(), [offer(&framework1, "role", &agent1, "cpus:2;mem:200")]);
    let framework2 = cluster.framework("role");
    let agent2 = cluster.agent("cpus:1;mem:100");
    assert_eq!(cluster.settle(), [offer(&framework2, "role", &agent2, "cpus:1;mem:100")]);
    // Nobody gives back what was offered of it.
    cluster.allocator.remove_agent(&agent1).unwrap();
    let agent3 = cluster.agent("cpus:1;mem:100");
    assert_eq!(cluster.settle(), [offer(&framework1, "role", &agent3, "cpus:1;mem:100")]);
}

#[test]
fn oversubscribed_not_allocated() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(ALL);
    let framework = cluster.framework("role1");
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, ALL)]);
    cluster.set_total(&agent, &(resources(ALL) + revocable("cpus:10")));
    assert_eq!(cluster.settle(), NOTHING);
}

#[test]
fn recover_oversubscribed_resources() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(ALL);
    let framework = takes_revocable(&mut cluster);
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, ALL)]);
    cluster.set_total(&agent, &(resources(ALL) + revocable("cpus:10")));
    let ten = Offer::new(&framework, "role1", &agent, &revocable("cpus:10"));
    assert_eq!(cluster.settle(), [ten]);
    let back = revocable("cpus:6") + resources("cpus:2");
    let back = Offer::new(&framework, "role1", &agent, &back);
    cluster.release(&back);
    assert_eq!(cluster.batch(), [back]);
}

#[test]
fn whitelist() {
    let mut cluster = Cluster::new();
    cluster.allocator.update_whitelist(Some(["dummy-agent".to_owned()].into()));
    let agent = cluster.agent("cpus:2;mem:1024");
    let framework = cluster.framework("*");
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), NOTHING);
    cluster.allocator.update_whitelist(Some(["dummy-agent".to_owned(), agent.clone()].into()));
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), [offer(&framework, "*", &agent, "cpus:2;mem:1024")]);
}

#[test]
fn dont_offer_old_agent_to_multi_role_framework() {
    let mut cluster = Cluster::new();
    cluster.framework("foo");
    cluster.agent_with(AgentOptions {
        total: resources("cpus:2;mem:1024;disk:0"),
        capabilities: AgentCapabilities::NONE,
        ..AgentOptions::default()
    });
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), NOTHING);
}

#[test]
fn non_scalar_reservation_tracking_mesos_9555() {
    let mut cluster = Cluster::new();
    let before = cluster.allocator.roles();
    let agents = [(); 2].map(|()| cluster.agent("cpus:1;mem:1;disk:1;ports(role):[1-2]"));
    for agent in &agents {
        cluster.allocator.remove_agent(agent).unwrap();
    }
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.allocator.roles(), before);
    assert!(cluster.allocator.total_quantities().is_empty());
}
