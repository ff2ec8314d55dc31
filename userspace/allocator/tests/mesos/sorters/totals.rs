//! Shares of what there is.

use super::{AGENT, Sorter};
use crate::{resources, revocable, volume};

/// Adds two clients that want something.
fn two(sorter: &mut Sorter) {
    for client in ["a", "b"] {
        sorter.add(client);
        sorter.activate(client);
    }
}

#[test]
fn drf_sorter_update_total() {
    let mut sorter = Sorter::drf("cpus:10;mem:100");
    two(&mut sorter);
    sorter.allocated("a", "cpus:2;mem:1");
    sorter.allocated("b", "cpus:1;mem:2");
    assert_eq!(sorter.shares(&["a", "b"]), [200.0, 100.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.set_agent(AGENT, &resources("cpus:100;mem:10"));
    assert_eq!(sorter.shares(&["a", "b"]), [100.0, 200.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}

#[test]
fn drf_sorter_multiple_slaves_update_total() {
    let mut sorter = Sorter::drf("");
    two(&mut sorter);
    sorter.set_agent("agentA", &resources("cpus:5;mem:50"));
    sorter.set_agent("agentB", &resources("cpus:5;mem:50"));
    sorter.allocated_on("agentA", "a", &resources("cpus:2;mem:1"));
    sorter.allocated_on("agentB", "b", &resources("cpus:1;mem:3"));
    assert_eq!(sorter.shares(&["a", "b"]), [200.0, 100.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.set_agent("agentA", &resources("cpus:95;mem:50"));
    assert_eq!(sorter.shares(&["a", "b"]), [20.0, 30.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}

#[test]
fn drf_sorter_remove_resources() {
    let mut sorter = Sorter::drf("cpus:10");
    two(&mut sorter);
    sorter.allocated("a", "cpus:6");
    sorter.allocated("b", "cpus:4");
    assert_eq!(sorter.shares(&["a", "b"]), [600.0, 400.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    // They go from the agent and from what the client has at once.
    sorter.update(AGENT, "a", &resources("cpus:6"), &resources("cpus:1"));
    assert_eq!(sorter.shares(&["a", "b"]), [200.0, 800.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}

#[test]
fn drf_sorter_revocable_resources() {
    let mut sorter = Sorter::drf("");
    sorter.set_agent(AGENT, &(resources("cpus:10;mem:100") + revocable("cpus:10")));
    two(&mut sorter);
    let a = resources("cpus:2;mem:1");
    let b = resources("cpus:1;mem:1") + revocable("cpus:9");
    sorter.allocated_on(AGENT, "a", &a);
    sorter.allocated_on(AGENT, "b", &b);
    assert_eq!([sorter.allocation(AGENT, "a"), sorter.allocation(AGENT, "b")], [a, b]);
    assert_eq!(sorter.shares(&["a", "b"]), [100.0, 500.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}

#[test]
fn drf_sorter_split_resource_shares() {
    let mut sorter = Sorter::drf("");
    let mut volumes = resources("cpus:9;mem:9");
    volumes.add(volume(5, "ID1", Vec::new()));
    volumes.add(volume(5, "ID2", Vec::new()));
    sorter.set_agent(AGENT, &(resources("cpus:91;mem:91;disk:90") + &volumes));
    two(&mut sorter);
    sorter.allocated("a", "cpus:9;mem:9;disk:9");
    sorter.allocated_on(AGENT, "b", &volumes);
    assert_eq!(sorter.shares(&["a", "b"]), [90.0, 100.0]);
    assert_eq!(sorter.sort(), ["a", "b"]);
}
