//! Clients below others.

use super::{AGENT, Sorter};
use crate::resources;

/// Six clients that never have a common ancestor, so that it does not matter how deep they
/// are.
#[expect(clippy::many_single_char_names, reason = "the clients are called so")]
pub(super) fn check_drf(clients: [&str; 6]) {
    let [a, b, c, d, e, f] = clients;
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    assert!(sorter.sort().is_empty());
    sorter.add_with(a, "cpus:5;mem:5");
    sorter.add_with(b, "cpus:6;mem:6");
    assert_eq!(sorter.shares(&[a, b]), [50.0, 60.0]);
    assert_eq!(sorter.sort(), [a, b]);
    sorter.add_with(c, "cpus:1;mem:1");
    sorter.add_with(d, "cpus:3;mem:1");
    assert_eq!(sorter.shares(&[c, d, a, b]), [10.0, 30.0, 50.0, 60.0]);
    assert_eq!(sorter.sort(), [c, d, a, b]);
    sorter.remove(a);
    sorter.unallocated(b, &resources("cpus:4;mem:4"));
    assert_eq!(sorter.shares(&[c, b, d]), [10.0, 20.0, 30.0]);
    assert_eq!(sorter.sort(), [c, b, d]);
    sorter.add_with(e, "cpus:1;mem:5");
    sorter.set_agent(AGENT, &resources("cpus:50;mem:100"));
    assert_eq!(sorter.shares(&[c, b, e, d]), [20.0, 40.0, 50.0, 60.0]);
    assert_eq!(sorter.sort(), [c, b, e, d]);
    sorter.set_agent(AGENT, &resources("cpus:50;mem:200"));
    sorter.add_with(f, "cpus:5;mem:1");
    sorter.allocated(c, "cpus:0;mem:15");
    assert_eq!(sorter.shares(&[e, b, d, c, f]), [25.0, 40.0, 60.0, 80.0, 100.0]);
    assert_eq!(sorter.sort(), [e, b, d, c, f]);
    assert!(sorter.contains(b) && !sorter.contains(a));
    assert_eq!(sorter.count(), 5);
    sorter.deactivate(d);
    assert!(sorter.contains(d));
    assert_eq!(sorter.sort(), [e, b, c, f]);
    assert_eq!(sorter.count(), 5);
    sorter.activate(d);
    assert_eq!(sorter.sort(), [e, b, d, c, f]);
}

#[test]
fn drf_sorter_shallow_hierarchy() {
    check_drf(["a/a", "b/b", "c/c", "d/d", "e/e", "f/f"]);
}

#[test]
fn drf_sorter_deep_hierarchy() {
    check_drf(["a/a/a/a/a", "b/b/b/b", "c/c/c", "d/d", "e/e/e/e/e/e", "f/f"]);
}

#[test]
fn drf_sorter_hierarchical_allocation() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    for client in ["a", "b/c", "b/d"] {
        sorter.add(client);
        sorter.activate(client);
    }
    assert_eq!(sorter.count(), 3);
    assert!(sorter.contains("a") && !sorter.contains("b"));
    assert!(sorter.contains("b/c") && sorter.contains("b/d"));
    assert_eq!(sorter.sort(), ["a", "b/c", "b/d"]);
    sorter.allocated("a", "cpus:6;mem:6");
    assert_eq!(sorter.sort(), ["b/c", "b/d", "a"]);
    sorter.allocated("b/c", "cpus:4;mem:4");
    sorter.allocated("b/d", "cpus:3;mem:3");
    // All of b has 0.07, a has 0.06.
    assert_eq!(sorter.sort(), ["a", "b/d", "b/c"]);
    for (client, has) in [("a", "cpus:6;mem:6"), ("b/c", "cpus:4;mem:4"), ("b/d", "cpus:3;mem:3")] {
        assert_eq!(sorter.allocation(AGENT, client), resources(has));
        assert_eq!(sorter.quantities(Some(client)).to_string(), has);
    }
    assert_eq!(sorter.quantities(None).to_string(), "cpus:13;mem:13");
    sorter.allocated("a", "cpus:2;mem:2");
    assert_eq!(sorter.sort(), ["b/d", "b/c", "a"]);
    sorter.add("b/e/f");
    sorter.activate("b/e/f");
    assert!(!sorter.contains("b/e") && sorter.contains("b/e/f"));
    assert_eq!(sorter.sort(), ["b/e/f", "b/d", "b/c", "a"]);
    sorter.allocated("b/e/f", "cpus:3.5;mem:3.5");
    // All of b has 0.105.
    assert_eq!(sorter.sort(), ["a", "b/d", "b/e/f", "b/c"]);
    sorter.remove("b/e/f");
    assert!(!sorter.contains("b/e/f"));
    assert_eq!(sorter.count(), 3);
    assert_eq!(sorter.sort(), ["b/d", "b/c", "a"]);
    sorter.update(AGENT, "b/c", &resources("cpus:4;mem:4"), &resources("cpus:1;mem:1"));
    // An update takes from the agent here too.
    sorter.set_agent(AGENT, &resources("cpus:100;mem:100"));
    assert_eq!(sorter.sort(), ["b/c", "b/d", "a"]);
    sorter.add_with("b/e/f", "cpus:3.5;mem:3.5");
    assert_eq!(sorter.sort(), ["b/c", "b/d", "b/e/f", "a"]);
    assert_eq!(sorter.count(), 4);
}

#[test]
fn drf_sorter_hierarchical_iteration_order() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    for client in ["a/b", "c", "d", "d/e"] {
        sorter.add(client);
        sorter.activate(client);
    }
    assert_eq!(sorter.sort(), ["a/b", "c", "d", "d/e"]);
    sorter.allocated("c", "cpus:8;mem:8");
    assert_eq!(sorter.sort(), ["a/b", "d", "d/e", "c"]);
    sorter.allocated("d", "cpus:3;mem:3");
    sorter.allocated("d/e", "cpus:2;mem:2");
    assert_eq!(sorter.sort(), ["a/b", "d/e", "d", "c"]);
    sorter.allocated("a/b", "cpus:6;mem:6");
    assert_eq!(sorter.sort(), ["d/e", "d", "a/b", "c"]);
}

#[test]
fn drf_sorter_add_child_to_leaf() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.add_with("a", "cpus:10;mem:10");
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.add_with("a/c", "cpus:5;mem:5");
    assert_eq!(sorter.sort(), ["b", "a/c", "a"]);
    // What is left of a has less than b.
    sorter.remove("a");
    assert!(!sorter.contains("a"));
    assert_eq!(sorter.sort(), ["a/c", "b"]);
    sorter.add_with("a", "cpus:10;mem:10");
    assert!(sorter.contains("a"));
    assert_eq!(sorter.sort(), ["b", "a/c", "a"]);
    // Against a/c, a weighs 1, whatever its weight against b is.
    sorter.update_weight("a/c", 0.2);
    assert_eq!(sorter.sort(), ["b", "a", "a/c"]);
    sorter.update_weight("a", 3.0);
    assert_eq!(sorter.sort(), ["a", "a/c", "b"]);
    sorter.update_weight("a/c", 1.0);
    assert_eq!(sorter.sort(), ["a/c", "a", "b"]);
}

#[test]
fn drf_sorter_add_child_to_internal() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.add_with("x/a", "cpus:10;mem:10");
    sorter.add_with("x/b", "cpus:6;mem:6");
    assert_eq!(sorter.sort(), ["x/b", "x/a"]);
    sorter.add_with("x", "cpus:7;mem:7");
    assert_eq!(sorter.sort(), ["x/b", "x", "x/a"]);
    sorter.add_with("z", "cpus:20;mem:20");
    assert_eq!(sorter.sort(), ["z", "x/b", "x", "x/a"]);
    sorter.remove("x");
    assert_eq!(sorter.sort(), ["x/b", "x/a", "z"]);
}

#[test]
fn drf_sorter_add_child_to_inactive_leaf() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.add_with("a", "cpus:10;mem:10");
    sorter.add_with("b", "cpus:6;mem:6");
    sorter.deactivate("a");
    assert_eq!(sorter.sort(), ["b"]);
    // What a has counts though it wants nothing.
    sorter.add_with("a/c", "cpus:5;mem:5");
    assert_eq!(sorter.sort(), ["b", "a/c"]);
}

#[test]
fn drf_sorter_change_weight_on_subtree() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.update_weight("b", 3.0);
    sorter.update_weight("a", 2.0);
    for client in ["a/x", "b/y"] {
        sorter.add(client);
        sorter.activate(client);
    }
    assert_eq!(sorter.sort(), ["a/x", "b/y"]);
    sorter.allocated("a/x", "cpus:10;mem:10");
    sorter.allocated("b/y", "cpus:10;mem:10");
    assert_eq!(sorter.sort(), ["b/y", "a/x"]);
    sorter.add_with("b/z", "cpus:5;mem:5");
    assert_eq!(sorter.sort(), ["b/z", "b/y", "a/x"]);
    sorter.add_with("b", "cpus:4;mem:4");
    assert_eq!(sorter.sort(), ["a/x", "b", "b/z", "b/y"]);
    sorter.add_with("a/zz", "cpus:2;mem:2");
    assert_eq!(sorter.sort(), ["a/zz", "a/x", "b", "b/z", "b/y"]);
}
