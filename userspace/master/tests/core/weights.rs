//! Weights: what may be asked for, what is kept. Named after Mesos' `DynamicWeightsTest`.

use muster_api::mesos::WeightInfo;
use muster_master::core::{Change, Refusal};

use crate::world::*;

fn weights(infos: &[(&str, f64)]) -> Change {
    let info = |(role, weight): &(&str, f64)| WeightInfo {
        weight: *weight,
        role: Some((*role).to_owned()),
    };
    Change::Weights(infos.iter().map(info).collect())
}

#[test]
fn weights_that_make_no_sense() {
    let mut world = World::new();
    for (weight, wanted) in [
        (("role1", 0.0), "weight_infos[1].weight: 0 is not a number above zero"),
        (("role1", -2.0), "weight_infos[1].weight: -2 is not"),
        (("role1", f64::NAN), "weight_infos[1].weight: NaN is not"),
        (("role1", f64::INFINITY), "weight_infos[1].weight: inf is not"),
        ((" ", 2.0), "weight_infos[1].role is not set"),
        (("a//b", 2.0), "weight_infos[1].role: "),
    ] {
        let (result, outputs) = world.change(weights(&[("good", 2.0), weight]));
        let Err(Refusal::Invalid(problem)) = result else { panic!("{result:?}") };
        assert!(problem.starts_with(wanted), "{problem}");
        assert_eq!(outputs, []);
    }
    let nobody = Change::Weights(vec![WeightInfo { weight: 1.0, role: None }]);
    assert!(world.change(nobody).0.is_err());
    // All or nothing.
    assert!(world.master.weights().is_empty());
}

#[test]
fn unknown_role() {
    let mut world = World::with(|options| {
        options.roles = Some(["role1".to_owned(), "role2".to_owned()].into());
    });
    assert!(world.change(weights(&[("unknown", 3.0)])).0.is_err());
    world.change(weights(&[("role1", 2.0), ("role2", 4.0)])).0.unwrap();
    assert_eq!(world.master.weights().len(), 2);
}

#[test]
fn recovered_weights_from_registry() {
    let mut world = World::new();
    world.change(weights(&[(" role1 ", 2.0), ("a/b", 0.5)])).0.unwrap();
    world.change(weights(&[("role1", 1.0), ("role3", 2.5)])).0.unwrap();
    world.restart();
    let kept: Vec<(&str, f64)> =
        world.master.weights().iter().map(|(role, weight)| (role.as_str(), *weight)).collect();
    assert_eq!(kept, [("a/b", 0.5), ("role1", 1.0), ("role3", 2.5)]);
    // And they are what the allocator goes by.
    assert_eq!(world.master.allocator().role("role3").map(|role| role.weight), Some(2.5));
    for link in 1..=7 {
        world.agent_with(link, &format!("agent{link}"), "cpus:2;mem:1024");
    }
    world.described(10, in_role("one", "role1"));
    world.described(11, in_role("three", "role3"));
    world.change(weights(&[("role1", 1.0)])).0.unwrap();
    let outputs = world.advance(1);
    assert_eq!((offers(&outputs, 10).len(), offers(&outputs, 11).len()), (2, 5));
}
