//! Offers that are too small to be made.

use muster_allocator::FrameworkOptions;
use muster_resources::Quantities;

use crate::cluster::{Cluster, NOTHING, offer};
use crate::in_role;

/// Half of both of the minima.
const SMALL: &str = "cpus:0.005;mem:16;disk:128";

fn in_role1_with_minima(minima: Vec<Quantities>) -> FrameworkOptions {
    FrameworkOptions { min_allocatable: [("role1".to_owned(), minima)].into(), ..in_role("role1") }
}

#[test]
fn allocatable() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role1");
    cluster.agent(SMALL);
    assert_eq!(cluster.settle(), NOTHING);
    for enough in [
        "cpus:0.01;mem:16;disk:128",
        "cpus:0.005;mem:32;disk:128",
        // Together only.
        "cpus:0.015;mem:16;cpus(role1):0.015;mem(role1):16;disk:128",
    ] {
        let agent = cluster.agent(enough);
        assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, enough)]);
    }
}

#[test]
fn framework_min_allocatable() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework("role1");
    let agent = cluster.agent(SMALL);
    assert_eq!(cluster.settle(), NOTHING);
    // A third of the minimum, as exactly as numbers are here.
    let options = in_role1_with_minima(vec![Quantities::parse("cpus:0.003").unwrap()]);
    cluster.allocator.update_framework(&framework, options).unwrap();
    assert_eq!(cluster.settle(), NOTHING);
    assert_eq!(cluster.batch(), [offer(&framework, "role1", &agent, SMALL)]);
}

#[test]
fn framework_empty_min_allocatable() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework_with(in_role1_with_minima(Vec::new()));
    let agent = cluster.agent(SMALL);
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, SMALL)]);
}
