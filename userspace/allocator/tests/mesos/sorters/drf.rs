//! Dominant shares, weights and ties.

use super::Sorter;
use crate::resources;

#[test]
fn drf_sorter_drf() {
    super::hierarchy::check_drf(["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn drf_sorter_wdrf() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.add_with("a", "cpus:5;mem:5");
    sorter.update_weight("b", 2.0);
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.shares(&["a", "b"]), [50.0, 30.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
    sorter.add_with("c", "cpus:4;mem:4");
    assert_eq!(sorter.sort(), ["b", "c", "a"]);
    sorter.add_with("d", "cpus:10;mem:20");
    sorter.update_weight("d", 10.0);
    assert_eq!(sorter.shares(&["d", "b", "c", "a"]), [20.0, 30.0, 40.0, 50.0]);
    assert_eq!(sorter.sort(), ["d", "b", "c", "a"]);
    sorter.remove("b");
    assert_eq!(sorter.sort(), ["d", "c", "a"]);
    sorter.allocated("d", "cpus:10;mem:25");
    assert_eq!(sorter.shares(&["c", "d", "a"]), [40.0, 45.0, 50.0]);
    assert_eq!(sorter.sort(), ["c", "d", "a"]);
    sorter.update_weight("e", 0.1);
    sorter.add_with("e", "cpus:1;mem:1");
    assert_eq!(sorter.shares(&["e"]), [100.0]);
    assert_eq!(sorter.sort(), ["c", "d", "a", "e"]);
    sorter.remove("a");
    assert_eq!(sorter.sort(), ["c", "d", "e"]);
}

#[test]
fn drf_sorter_update_weight() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    sorter.add_with("a", "cpus:5;mem:5");
    sorter.add_with("b", "cpus:6;mem:6");
    assert_eq!(sorter.sort(), ["a", "b"]);
    sorter.update_weight("b", 2.0);
    assert_eq!(sorter.shares(&["a", "b"]), [50.0, 30.0]);
    assert_eq!(sorter.sort(), ["b", "a"]);
}

#[test]
fn drf_sorter_allocation_count_tie_break() {
    let mut sorter = Sorter::drf("cpus:100;mem:100");
    for client in ["a", "b", "c", "d", "e"] {
        sorter.add(client);
        sorter.activate(client);
    }
    let three = "cpus:3;mem:3";
    for client in ["a", "b", "e"] {
        sorter.allocated(client, three);
    }
    for _ in 0..3 {
        sorter.allocated("c", "cpus:1;mem:1");
    }
    for part in ["cpus:2;mem:2", "cpus:1;mem:1"] {
        sorter.allocated("d", part);
    }
    assert_eq!(sorter.sort(), ["a", "b", "e", "d", "c"]);
    sorter.unallocated("c", &resources(three));
    assert_eq!(sorter.sort(), ["c", "a", "b", "e", "d"]);
    sorter.allocated("c", three);
    assert_eq!(sorter.sort(), ["a", "b", "e", "d", "c"]);
    sorter.deactivate("c");
    sorter.activate("c");
    assert_eq!(sorter.sort(), ["a", "b", "e", "d", "c"]);
    sorter.unallocated("c", &resources(three));
    sorter.allocated("c", three);
    assert_eq!(sorter.sort(), ["a", "b", "e", "d", "c"]);
    // What is allocated while it wants nothing counts too.
    sorter.deactivate("a");
    sorter.unallocated("a", &resources("cpus:1;mem:3"));
    sorter.allocated("a", "cpus:1;mem:3");
    assert_eq!(sorter.sort(), ["b", "e", "d", "c"]);
    sorter.activate("a");
    assert_eq!(sorter.sort(), ["b", "e", "a", "d", "c"]);
}
