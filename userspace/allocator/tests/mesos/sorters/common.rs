//! What holds for both sorters.

use muster_allocator::SorterKind;
use muster_resources::{Operation, Quantities, Resources};

use super::{AGENT, Sorter};
use crate::{resources, volume};

fn both() -> [Sorter; 2] {
    [SorterKind::Drf, SorterKind::Random].map(Sorter::new)
}

/// The clients that want something, in the order of their names: the other is by chance.
fn named(sorter: &Sorter) -> Vec<String> {
    let mut clients = sorter.sort();
    clients.sort_unstable();
    clients
}

/// With clients `a`, `b` and `a/c`.
fn with_child(sorter: &mut Sorter) {
    sorter.set_agent(AGENT, &resources("cpus:100;mem:100"));
    sorter.add_with("a", "cpus:10;mem:10");
    sorter.add_with("b", "cpus:6;mem:6");
    sorter.add_with("a/c", "cpus:5;mem:5");
}

#[test]
fn common_sorter_remove_leaf_collapse_parent() {
    for mut sorter in both() {
        with_child(&mut sorter);
        assert_eq!(named(&sorter), ["a", "a/c", "b"]);
        sorter.remove("a/c");
        assert_eq!(named(&sorter), ["a", "b"]);
    }
}

#[test]
fn common_sorter_remove_leaf_collapse_parent_inactive() {
    for mut sorter in both() {
        with_child(&mut sorter);
        sorter.deactivate("a");
        assert_eq!(named(&sorter), ["a/c", "b"]);
        sorter.remove("a/c");
        assert_eq!(named(&sorter), ["b"]);
    }
}

/// What is left after a volume of 5 has been made.
fn with_volume(before: &Resources) -> (Operation, Resources) {
    let create = Operation::Create(volume(5, "ID", Vec::new()).into());
    let after = before.apply(&create).unwrap();
    assert_ne!(after, *before);
    (create, after)
}

/// Makes a volume of what the first of two clients has.
fn check_volume(mut sorter: Sorter, client: &str, other: &str) -> Sorter {
    for client in [client, other] {
        sorter.add(client);
        sorter.activate(client);
    }
    let all = resources("cpus:10;mem:10;disk:10");
    sorter.set_agent(AGENT, &all);
    sorter.allocated_on(AGENT, client, &all);
    let (create, after) = with_volume(&all);
    sorter.0.update_allocation(&super::of(client), client, AGENT, &create).unwrap();
    assert_eq!(sorter.allocation(AGENT, client), after);
    assert!(sorter.allocation(AGENT, other).is_empty());
    let quantities = Quantities::of_scalars(&all);
    assert_eq!(sorter.quantities(Some(client)), quantities);
    assert_eq!(sorter.quantities(None), quantities);
    sorter
}

#[test]
fn common_sorter_update_allocation() {
    for sorter in both() {
        let mut sorter = check_volume(sorter, "a", "b");
        // Of what becomes nothing, nothing is left.
        let all = resources("cpus:10;mem:10;disk:10");
        sorter.set_agent("agentId2", &all);
        sorter.add("c");
        sorter.activate("c");
        sorter.allocated_on("agentId2", "c", &all);
        sorter.update("agentId2", "c", &all, &Resources::default());
        assert!(sorter.allocation("agentId2", "c").is_empty());
        assert!(sorter.quantities(Some("c")).is_empty());
        assert_eq!(sorter.quantities(None), Quantities::of_scalars(&all));
    }
}

#[test]
fn common_sorter_update_allocation_nested_client() {
    for sorter in both() {
        check_volume(sorter, "a/x", "b/y");
    }
}

#[test]
fn common_sorter_allocation_for_inactive_client() {
    for mut sorter in both() {
        sorter.set_agent(AGENT, &resources("cpus:10;mem:10"));
        sorter.add("a");
        sorter.add("b");
        sorter.activate("b");
        for (client, has) in [("a", "cpus:2;mem:2"), ("b", "cpus:3;mem:3")] {
            sorter.allocated(client, has);
            assert_eq!(sorter.allocation(AGENT, client), resources(has));
            assert_eq!(sorter.quantities(Some(client)).to_string(), has);
        }
        assert_eq!(named(&sorter), ["b"]);
        assert_eq!(sorter.quantities(None).to_string(), "cpus:5;mem:5");
    }
}

#[test]
fn common_sorter_multiple_slaves() {
    for mut sorter in both() {
        let all = resources("cpus:2;mem:512;ports:[31000-32000]");
        sorter.add("framework");
        sorter.activate("framework");
        for agent in ["agentA", "agentB"] {
            sorter.set_agent(agent, &all);
            sorter.allocated_on(agent, "framework", &all);
        }
        for agent in ["agentA", "agentB"] {
            assert_eq!(sorter.allocation(agent, "framework"), all);
        }
        assert_eq!(sorter.quantities(Some("framework")).to_string(), "cpus:4;mem:1024");
        assert_eq!(sorter.quantities(None).to_string(), "cpus:4;mem:1024");
    }
}

#[test]
fn common_sorter_multiple_slaves_update_allocation() {
    for mut sorter in both() {
        let all = resources("cpus:2;mem:512;disk:10;ports:[31000-32000]");
        sorter.add("framework");
        sorter.activate("framework");
        for agent in ["agentA", "agentB"] {
            sorter.set_agent(agent, &all);
            sorter.allocated_on(agent, "framework", &all);
        }
        let (create, after) = with_volume(&all);
        for agent in ["agentA", "agentB"] {
            sorter.0.update_allocation("framework", "framework", agent, &create).unwrap();
        }
        for agent in ["agentA", "agentB"] {
            assert_eq!(sorter.allocation(agent, "framework"), after);
        }
        let twice = Quantities::parse("cpus:4;mem:1024;disk:20").unwrap();
        assert_eq!(sorter.quantities(Some("framework")), twice);
        assert_eq!(sorter.quantities(None), twice);
    }
}
