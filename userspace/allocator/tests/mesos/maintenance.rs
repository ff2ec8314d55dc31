//! Agents that will be down.

use std::time::Duration;

use muster_allocator::{AgentOptions, InverseOffer, Unavailability};

use crate::cluster::{Cluster, offer};
use crate::resources;

const WHOLE: &str = "cpus:2;mem:1024;disk:0";

fn down_at(start: Duration) -> Unavailability {
    Unavailability { start, duration: None }
}

#[test]
fn add_agent_with_unknown_framework_and_maintenance() {
    let mut cluster = Cluster::new();
    let options = AgentOptions {
        total: resources(WHOLE),
        unavailability: Some(down_at(Duration::from_hours(365 * 24))),
        ..AgentOptions::default()
    };
    let used = [("unknown".to_owned(), resources(WHOLE).allocated_to("role"))].into();
    cluster.add_agent(options, used);
    let framework = cluster.framework("role");
    let agent2 = cluster.agent(WHOLE);
    assert_eq!(cluster.settle(), [offer(&framework, "role", &agent2, WHOLE)]);
    // Nobody is known who could leave the first agent.
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
    let unavailability = down_at(cluster.now + Duration::from_mins(1));
    cluster.allocator.update_unavailability(&agent2, Some(unavailability)).unwrap();
    cluster.settle();
    let expected = InverseOffer { framework, agent: agent2, unavailability };
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), [expected]);
}

#[test]
fn maintenance_inverse_offers() {
    let mut cluster = Cluster::new();
    let agent1 = cluster.agent(WHOLE);
    let framework = cluster.framework("*");
    assert_eq!(cluster.settle(), [offer(&framework, "*", &agent1, WHOLE)]);
    let agent2 = cluster.agent(WHOLE);
    let second = offer(&framework, "*", &agent2, WHOLE);
    assert_eq!(cluster.settle(), [&second]);
    cluster.decline(&second, Duration::from_hours(24));
    let unavailability = down_at(cluster.now + Duration::from_mins(1));
    for agent in [&agent1, &agent2] {
        cluster.allocator.update_unavailability(agent, Some(unavailability)).unwrap();
    }
    cluster.settle();
    // It has something of the first agent only.
    let expected = InverseOffer { framework, agent: agent1, unavailability };
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), [expected]);
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
}
