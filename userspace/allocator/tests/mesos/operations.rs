//! Resources that are turned into others.

use muster_allocator::{Error, FrameworkCapabilities, FrameworkOptions};
use muster_resources::{Conversion, Operation, Reservation, Resources};

use crate::cluster::{Cluster, NOTHING, Offer, offer};
use crate::{in_role, multi_role, quota, reserved, resources, shared_volume, volume};

const WITH_RESERVED_DISK: &str = "cpus:100;mem:100;disk(role1):100";

/// A framework that takes what several tasks may use at once.
fn shares(cluster: &mut Cluster) -> String {
    cluster.framework_with(FrameworkOptions {
        capabilities: FrameworkCapabilities { shared_resources: true, ..multi_role() },
        ..in_role("role1")
    })
}

/// Applies an operation to an offer; the offer afterwards.
fn apply(cluster: &mut Cluster, offer: &Offer, operation: &Operation) -> Offer {
    let Offer { framework, role, agent, resources } = offer;
    cluster.allocator.update_allocation(framework, role, agent, operation).unwrap();
    Offer { resources: resources.apply(operation).unwrap(), ..offer.clone() }
}

#[test]
fn update_allocation() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:100;mem:100;disk:100");
    let framework = cluster.framework("role1");
    let before = offer(&framework, "role1", &agent, "cpus:100;mem:100;disk:100");
    assert_eq!(cluster.settle(), [&before]);
    let create = Operation::Create(volume(5, "ID", Vec::new()).into());
    let after = apply(&mut cluster, &before, &create);
    assert_eq!(after.resources.scalar("disk").to_string(), "100");
    cluster.release(&after);
    assert_eq!(cluster.batch(), [after]);
}

#[test]
fn update_allocation_remove_resources() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:100;mem:100;disk:100");
    let framework = cluster.framework("role1");
    assert_eq!(cluster.settle(), [offer(&framework, "role1", &agent, "cpus:100;mem:100;disk:100")]);
    let gone = Conversion::new(resources("disk:100"), Resources::default());
    cluster.allocator.convert_allocation(&framework, "role1", &agent, &[gone]).unwrap();
    let rest = offer(&framework, "role1", &agent, "cpus:100;mem:100");
    assert_eq!(*cluster.allocator.total(&agent).unwrap(), rest.resources);
    cluster.release(&rest);
    assert_eq!(cluster.batch(), [rest]);
}

#[test]
fn update_allocation_shared_persistent_volume() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(WITH_RESERVED_DISK);
    let framework = shares(&mut cluster);
    let before = offer(&framework, "role1", &agent, WITH_RESERVED_DISK);
    assert_eq!(cluster.settle(), [&before]);
    let volume: Resources = shared_volume(5, "id1", &Reservation::fixed("role1")).into();
    let with_volume = apply(&mut cluster, &before, &Operation::Create(volume.clone()));
    cluster.release(&with_volume);
    assert_eq!(cluster.batch(), [&with_volume]);
    let after = apply(&mut cluster, &with_volume, &Operation::Destroy(volume));
    assert_eq!(after, before);
    cluster.release(&after);
    assert_eq!(cluster.batch(), [before]);
}

#[test]
fn shared_resources_capability() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent(WITH_RESERVED_DISK);
    let framework1 = cluster.framework("role1");
    let before = offer(&framework1, "role1", &agent, WITH_RESERVED_DISK);
    assert_eq!(cluster.settle(), [&before]);
    let volume: Resources = shared_volume(5, "id1", &Reservation::fixed("role1")).into();
    let with_volume = apply(&mut cluster, &before, &Operation::Create(volume.clone()));
    cluster.release(&with_volume);
    let without = with_volume.part(&(with_volume.resources.clone() - &volume));
    assert_eq!(cluster.batch(), [&without]);
    cluster.release(&without);
    let framework2 = shares(&mut cluster);
    let to_framework2 = Offer { framework: framework2, ..with_volume };
    assert_eq!(cluster.settle(), [to_framework2]);
}

#[test]
fn update_available_success() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:100;mem:100;disk:100");
    cluster.settle();
    let ops = Reservation { principal: Some("ops".to_owned()), ..Reservation::dynamic("role1") };
    let part = reserved("cpus:25;mem:50", &ops);
    let reserve = Operation::Reserve { resources: part.clone(), source: None };
    cluster.allocator.update_available(&agent, &reserve).unwrap();
    let framework = cluster.framework("role1");
    let expected = resources("cpus:75;mem:50;disk:100") + part;
    assert_eq!(cluster.settle(), [Offer::new(&framework, "role1", &agent, &expected)]);
}

#[test]
fn update_available_fail() {
    let mut cluster = Cluster::new();
    let agent = cluster.agent("cpus:100;mem:100;disk:100");
    let framework = cluster.framework("role1");
    let all = offer(&framework, "role1", &agent, "cpus:100;mem:100;disk:100");
    assert_eq!(cluster.settle(), [&all]);
    let part = reserved("cpus:25;mem:50", &Reservation::dynamic("role1"));
    let reserve = Operation::Reserve { resources: part, source: None };
    let result = cluster.allocator.update_available(&agent, &reserve);
    assert!(matches!(result, Err(Error::Operation(_))), "{result:?}");
    cluster.release(&all);
    assert_eq!(cluster.batch(), [all]);
}

/// Without and with quota.
#[test]
fn allocate_shared_resources() {
    for with_quota in [false, true] {
        let mut cluster = Cluster::new();
        let framework1 = shares(&mut cluster);
        let framework2 = shares(&mut cluster);
        if with_quota {
            cluster.allocator.update_quota("role1", quota("cpus:8;mem:2048;disk:4096")).unwrap();
        }
        let agent = cluster.agent("cpus:4;mem:1024;disk(role1):2048");
        let before = offer(&framework1, "role1", &agent, "cpus:4;mem:1024;disk(role1):2048");
        assert_eq!(cluster.settle(), [&before]);
        let volume: Resources = shared_volume(5, "id1", &Reservation::fixed("role1")).into();
        let with_volume = apply(&mut cluster, &before, &Operation::Create(volume.clone()));
        let task = resources("cpus:1;mem:5") + &volume;
        cluster.allocator.launch(&framework1, "role1", &agent, &task).unwrap();
        let rest = with_volume.part(&(with_volume.resources.clone() - &task));
        assert_eq!(rest.resources.scalar("disk").to_string(), "2043");
        cluster.release(&rest);
        // The volume is offered though a task uses it.
        let expected =
            Offer { framework: framework2, resources: rest.resources.clone() + &volume, ..rest };
        assert_eq!(cluster.batch(), [expected]);
        assert_eq!(cluster.batch(), NOTHING);
    }
}
