//! Offers are taken back when weights or quota would have them otherwise.

use muster_api::mesos::WeightInfo;
use muster_master::core::Change;

use crate::quotas::{config, update};
use crate::world::*;

#[test]
fn rescind_offers_for_update_quota_guarantees() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.described(10, in_role("other", "role2"));
    let made = offers(&outputs, 10).remove(0).id.value;
    let (result, outputs) = world.change(update(vec![config("role1", "cpus:1", "")], false));
    result.unwrap();
    assert_eq!(rescinded(&outputs, 10), [made]);
    // What is promised stays free; the rest is offered again.
    let again = offers(&world.advance(1), 10).remove(0);
    assert_eq!(held(&again), "cpus:3;mem:4096;ports:[31000-31999]");
    let (_, outputs) = world.described(11, in_role("own", "role1"));
    assert_eq!(offers(&outputs, 11).iter().map(held).collect::<Vec<_>>(), ["cpus:1"]);
}

#[test]
fn offers_of_others_stay_when_the_role_has_what_it_is_promised() {
    let mut world = World::new();
    world.agent(1, "one");
    let (_, outputs) = world.described(10, in_role("own", "role1"));
    assert_eq!(offers(&outputs, 10).len(), 1);
    let (result, outputs) = world.change(update(vec![config("role1", "cpus:4", "")], false));
    result.unwrap();
    assert!(rescinded(&outputs, 10).is_empty());
}

#[test]
fn rescind_offers_enforcing_limits() {
    let mut world = World::new();
    world.described(10, in_role("parent", "role1"));
    world.described(11, in_role("child", "role1/child"));
    world.agent_with(1, "one", "cpus:1;mem:1024");
    world.agent_with(2, "two", "cpus:1;mem:1024");
    let offered: Vec<String> =
        world.master.offers().values().map(|offer| offer.role.clone()).collect();
    assert_eq!(offered.len(), 2);
    assert!(offered.contains(&"role1/child".to_owned()), "{offered:?}");
    let limit = |text: &str| update(vec![config("role1", "", text)], false);
    let (result, outputs) = world.change(limit("cpus:2;mem:2048"));
    result.unwrap();
    assert!(rescinded(&outputs, 10).is_empty() && rescinded(&outputs, 11).is_empty());
    let (result, outputs) = world.change(limit("cpus:0.5;mem:512"));
    result.unwrap();
    assert_eq!(rescinded(&outputs, 10).len() + rescinded(&outputs, 11).len(), 2);
    // The role gets what it may have, and no more.
    let outputs = world.advance(1);
    assert_eq!(offers(&outputs, 10).iter().map(held).collect::<Vec<_>>(), ["cpus:0.5;mem:512"]);
}

#[test]
fn rebalanced_for_updated_weights() {
    let mut world = World::new();
    for link in 1..=6 {
        world.agent_with(link, &format!("agent{link}"), "cpus:2;mem:1024");
    }
    world.described(10, in_role("one", "role1"));
    world.described(11, in_role("two", "role2"));
    assert_eq!(world.master.offers().len(), 6);
    let weight = |role: &str, weight| WeightInfo { weight, role: Some(role.into()) };
    // A weight that nobody is concerned by changes no offers.
    let (result, outputs) = world.change(Change::Weights(vec![weight("role3", 2.0)]));
    result.unwrap();
    assert_eq!(outputs, []);
    let (result, outputs) = world.change(Change::Weights(vec![weight("role2", 2.0)]));
    result.unwrap();
    assert_eq!(rescinded(&outputs, 10).len() + rescinded(&outputs, 11).len(), 6);
    let outputs = world.advance(1);
    assert_eq!((offers(&outputs, 10).len(), offers(&outputs, 11).len()), (2, 4));
}
