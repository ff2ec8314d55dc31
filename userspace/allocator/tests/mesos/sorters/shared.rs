//! What several clients have at once.

use muster_resources::{Reservation, Resources};

use super::{AGENT, Sorter};
use crate::{resources, shared_volume};

fn disk(amount: u32) -> Resources {
    shared_volume(amount, "id1", &Reservation::fixed("role1")).into()
}

/// A sorter with this much disk besides the shared volume.
fn sorter(rest: &str, shared: &Resources) -> Sorter {
    let mut sorter = Sorter::drf("");
    sorter.set_agent(AGENT, &(resources(rest) + shared));
    sorter
}

fn add_with(sorter: &mut Sorter, client: &str, has: &Resources) {
    sorter.add(client);
    sorter.activate(client);
    sorter.allocated_on(AGENT, client, has);
}

#[test]
fn drf_sorter_shared_resources() {
    let shared = disk(100);
    let mut sorter = sorter("cpus:100;mem:100;disk(role1):900", &shared);
    add_with(&mut sorter, "a", &(resources("cpus:5;mem:5") + &shared));
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.shares(&["a", "b"]), [100.0, 60.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    add_with(&mut sorter, "c", &(resources("cpus:1;mem:1") + &shared));
    assert_eq!(sorter.shares(&["a", "b", "c"]), [100.0, 60.0, 100.0]);
    assert_eq!(sorter.sort(), ["b", "a", "c"]);
    sorter.remove("a");
    sorter.unallocated("b", &resources("cpus:4;mem:4"));
    assert_eq!(sorter.shares(&["b", "c"]), [20.0, 100.0]);
    assert_eq!(sorter.sort(), ["b", "c"]);
    add_with(&mut sorter, "d", &(resources("cpus:1;mem:5") + &shared));
    assert_eq!(sorter.shares(&["b", "c", "d"]), [20.0, 100.0, 100.0]);
    assert_eq!(sorter.sort(), ["b", "c", "d"]);
    assert!(sorter.contains("b") && !sorter.contains("a"));
    assert_eq!(sorter.count(), 3);
}

#[test]
fn drf_sorter_same_dominant_shared_resources_across_clients() {
    let shared = disk(900);
    let mut sorter = sorter("cpus:100;mem:100;disk(role1):100", &shared);
    add_with(&mut sorter, "b", &(resources("cpus:5;mem:20") + &shared));
    add_with(&mut sorter, "c", &(resources("cpus:10;mem:6") + &shared));
    assert_eq!(sorter.sort(), ["b", "c"]);
    add_with(&mut sorter, "a", &(resources("cpus:50;mem:40") + &shared));
    assert_eq!(sorter.shares(&["a", "b", "c"]), [900.0; 3]);
    assert_eq!(sorter.sort(), ["a", "b", "c"]);
}

#[test]
fn drf_sorter_same_shared_resources_same_client() {
    let shared = disk(50);
    let mut sorter = sorter("cpus:100;mem:100;disk(role1):950", &shared);
    add_with(&mut sorter, "a", &(resources("cpus:2;mem:2") + &shared));
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.shares(&["a", "b"]), [50.0, 60.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
    sorter.allocated_on(AGENT, "a", &(shared.clone() + &shared + &shared));
    assert_eq!(sorter.shares(&["a", "b"]), [50.0, 60.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}

#[test]
fn drf_sorter_shared_resources_unallocated() {
    let shared = disk(100);
    let mut sorter = sorter("cpus:100;mem:100;disk(role1):900", &shared);
    let three = shared.clone() + &shared + &shared;
    add_with(&mut sorter, "a", &(resources("cpus:2;mem:2") + three));
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.shares(&["a", "b"]), [100.0, 60.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.unallocated("a", &shared);
    assert_eq!(sorter.shares(&["a", "b"]), [100.0, 60.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.unallocated("a", &(shared.clone() + &shared));
    assert_eq!(sorter.shares(&["a", "b"]), [20.0, 60.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}
