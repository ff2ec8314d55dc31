//! Roles come to be known and are forgotten.

use muster_allocator::{Error, FrameworkOptions, Quota};

use crate::cluster::Cluster;
use crate::{in_role, quota};

const CHAIN: [&str; 3] = ["a", "a/b", "a/b/c"];

fn known(cluster: &Cluster) -> Vec<String> {
    cluster.allocator.roles().into_iter().collect()
}

#[test]
fn role_tree_roles_tracking() {
    let mut cluster = Cluster::new();
    assert!(known(&cluster).is_empty());

    cluster.allocator.update_weight("a/b/c", 2.0).unwrap();
    assert_eq!(known(&cluster), CHAIN);
    let weights = CHAIN.map(|role| cluster.allocator.role(role).unwrap().weight.to_string());
    assert_eq!(weights, ["1", "1", "2"]);
    cluster.allocator.update_weight("a/b/c", 1.0).unwrap();
    assert!(known(&cluster).is_empty());

    // Mesos' tree takes quota of any role, and its master only that of roles without slashes.
    let refused = cluster.allocator.update_quota("a/b/c", quota("cpus:1"));
    assert!(matches!(refused, Err(Error::Role(_))), "{refused:?}");
    assert!(known(&cluster).is_empty());
    cluster.allocator.update_quota("a", quota("cpus:1")).unwrap();
    assert_eq!(known(&cluster), ["a"]);
    assert_eq!(cluster.allocator.role("a").unwrap().quota, quota("cpus:1"));
    cluster.allocator.update_quota("a", Quota::default()).unwrap();
    assert!(known(&cluster).is_empty());

    let agent = cluster.agent("cpus(a/b/c):1");
    assert_eq!(known(&cluster), CHAIN);
    for role in CHAIN {
        assert_eq!(cluster.allocator.role(role).unwrap().reserved.to_string(), "cpus:1");
    }
    cluster.allocator.remove_agent(&agent).unwrap();
    assert!(known(&cluster).is_empty());

    let framework = cluster.framework_with(FrameworkOptions { active: false, ..in_role("a/b/c") });
    assert_eq!(known(&cluster), CHAIN);
    let frameworks = CHAIN.map(|role| cluster.allocator.role(role).unwrap().frameworks);
    assert_eq!(frameworks, [[].into(), [].into(), [framework.clone()].into()]);
    cluster.allocator.remove_framework(&framework).unwrap();
    assert!(known(&cluster).is_empty());
}
