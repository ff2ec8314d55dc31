//! Frameworks are asked to leave agents that will be down.

use std::time::Duration;

use muster_allocator::{AgentOptions, InverseOffer, Unavailability};
use muster_api::mesos::Attribute;

use crate::cluster::{Cluster, INTERVAL, NOTHING, offer};
use crate::resources;

const WHOLE: &str = "cpus:2;mem:1024";
const DOWN: Unavailability =
    Unavailability { start: Duration::from_hours(1), duration: Some(Duration::from_hours(2)) };

/// A framework that has an agent, which will be down, and has been asked to leave it.
fn asked() -> (Cluster, InverseOffer) {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role");
    let agent = cluster.agent(WHOLE);
    cluster.settle();
    cluster.allocator.update_unavailability(&agent, Some(DOWN)).unwrap();
    cluster.settle();
    let expected = InverseOffer { framework, agent, unavailability: DOWN };
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), std::slice::from_ref(&expected));
    (cluster, expected)
}

fn answer(cluster: &mut Cluster, leaves: Option<bool>, refuse: Option<Duration>) {
    let now = cluster.now;
    cluster.allocator.answer_inverse_offer(now, "framework1", "agent1", leaves, refuse).unwrap();
}

#[test]
fn a_framework_is_asked_again_after_its_answer() {
    let (mut cluster, asked) = asked();
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
    assert!(cluster.allocator.inverse_offer_answers("agent1").unwrap().is_empty());
    answer(&mut cluster, Some(true), None);
    let answers = |cluster: &Cluster| cluster.allocator.inverse_offer_answers("agent1").unwrap();
    assert_eq!(answers(&cluster), [("framework1".to_owned(), true)].into());
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), std::slice::from_ref(&asked));
    answer(&mut cluster, Some(false), None);
    assert_eq!(answers(&cluster), [("framework1".to_owned(), false)].into());
    // One that was withdrawn is no answer.
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), [asked]);
    answer(&mut cluster, None, None);
    assert_eq!(answers(&cluster), [("framework1".to_owned(), false)].into());
}

#[test]
fn a_framework_may_ask_for_time() {
    let (mut cluster, asked) = asked();
    // It is not rounded up to the time between cycles.
    answer(&mut cluster, Some(false), Some(INTERVAL / 2));
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
    cluster.now += INTERVAL / 2;
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), [asked]);
}

#[test]
fn its_time_ends_when_something_changes() {
    let changes: [fn(&mut Cluster); 4] = [
        |cluster| cluster.allocator.update_unavailability("agent1", Some(DOWN)).unwrap(),
        |cluster| cluster.allocator.revive("framework1", &["role".to_owned()]).unwrap(),
        |cluster| {
            cluster.allocator.deactivate_framework("framework1").unwrap();
            cluster.allocator.activate_framework("framework1").unwrap();
        },
        |cluster| {
            let attribute = Attribute { name: "rack".to_owned(), ..Attribute::default() };
            let options = AgentOptions {
                total: resources(WHOLE),
                attributes: vec![attribute],
                ..AgentOptions::default()
            };
            cluster.allocator.update_agent("agent1", options).unwrap();
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let (mut cluster, asked) = asked();
        answer(&mut cluster, Some(false), Some(Duration::from_hours(1)));
        assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
        change(&mut cluster);
        assert_eq!(cluster.allocator.inverse_offers(cluster.now), [asked], "change {index}");
    }
}

#[test]
fn a_new_plan_forgets_answers() {
    let (mut cluster, _) = asked();
    answer(&mut cluster, Some(true), None);
    cluster.allocator.update_unavailability("agent1", Some(DOWN)).unwrap();
    assert!(cluster.allocator.inverse_offer_answers("agent1").unwrap().is_empty());
    cluster.allocator.update_unavailability("agent1", None).unwrap();
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
}

#[test]
fn only_active_frameworks_that_have_something_are_asked() {
    let (mut cluster, asked) = asked();
    answer(&mut cluster, Some(true), None);
    cluster.allocator.deactivate_framework("framework1").unwrap();
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
    cluster.allocator.activate_framework("framework1").unwrap();
    let all = offer(&asked.framework, "role", &asked.agent, WHOLE);
    cluster.decline(&all, Duration::from_hours(1));
    assert_eq!(cluster.allocator.inverse_offers(cluster.now), []);
}

#[test]
fn agents_that_will_be_down_are_offered_still() {
    let (mut cluster, asked) = asked();
    let all = offer(&asked.framework, "role", &asked.agent, WHOLE);
    assert_eq!(cluster.batch(), NOTHING);
    cluster.release(&all);
    assert_eq!(cluster.batch(), [all]);
}
