//! Reserving, and making and resizing volumes.

use muster_resources::{Operation, Problem, Quantities, Scalar, SourceKind};

use crate::{disk, dynamic, of, reserved, resource, resources, revocable, shared_disk, source};

#[test]
fn reserve_resources() {
    let unreserved = resources("cpus:1;mem:512");
    let reserve = |text| {
        let resources = reserved(text, &dynamic("role", "principal"));
        Operation::Reserve { resources, source: None }
    };
    let after = unreserved.apply(&reserve("cpus:1")).unwrap();
    assert_eq!(after, resources("mem:512") + reserved("cpus:1", &dynamic("role", "principal")));
    let error = unreserved.apply(&reserve("cpus:2")).unwrap_err();
    assert!(matches!(error.problem, Problem::NotThere { .. }), "{error}");
    let not_reserved = Operation::Reserve { resources: resources("cpus:1"), source: None };
    assert_eq!(unreserved.apply(&not_reserved).unwrap_err().place, "reserve.resources");
}

#[test]
fn unreserve_resources() {
    let of = |text| reserved(text, &dynamic("role", "principal"));
    let all = of("cpus:1;mem:512");
    let after = all.apply(&Operation::Unreserve(of("cpus:1"))).unwrap();
    assert_eq!(after, of("mem:512") + resources("cpus:1"));
    assert!(all.apply(&Operation::Unreserve(of("cpus:2"))).is_err());
}

#[test]
fn create_persistent_volume() {
    let total = resources("cpus:1;mem:512;disk(role):1000");
    let create =
        |amount| Operation::Create(of(disk(amount, "role", Some("1"), Some("path"), None)));
    let volume = disk("200", "role", Some("1"), Some("path"), None);
    let after = total.apply(&create("200")).unwrap();
    assert_eq!(after, resources("cpus:1;mem:512;disk(role):800") + of(volume));
    assert!(total.apply(&create("2000")).is_err());
}

#[test]
fn create_persistent_volume_from_mount() {
    let mount = || Some(source(SourceKind::Mount, "mnt"));
    let total = of(disk("200", "role", None, None, mount()));
    let create =
        |amount| Operation::Create(of(disk(amount, "role", Some("1"), Some("path"), mount())));
    assert!(total.apply(&create("200")).is_ok());
    assert!(total.apply(&create("50")).is_err());
}

#[test]
fn create_shared_persistent_volume() {
    let total = resources("cpus:1;mem:512;disk(role):1000");
    let volume = of(shared_disk("200", "role", "1", "path"));
    let after = total.apply(&Operation::Create(volume.clone())).unwrap();
    assert_eq!(after, resources("cpus:1;mem:512;disk(role):800") + &volume);
    assert_eq!(after.apply(&Operation::Destroy(volume)).unwrap(), total);
    let too_large = of(shared_disk("2000", "role", "1", "path"));
    assert!(total.apply(&Operation::Create(too_large)).is_err());
}

#[test]
fn destroy_shared_persistent_volume_multiple_copies() {
    let volume = of(shared_disk("200", "role", "1", "path"));
    let total = resources("cpus:1;mem:512;disk(role):800") + &volume + &volume;
    let error = total.apply(&Operation::Destroy(volume)).unwrap_err();
    assert!(matches!(error.problem, Problem::InUse(_)), "{error}");
}

#[test]
fn flatten_resources() {
    let unreserved = resources("cpus:1;mem:512");
    let flat = reserved("cpus:1", &dynamic("role", "principal"));
    let after = unreserved.apply(&Operation::Reserve { resources: flat.clone(), source: None });
    assert_eq!(after.unwrap(), resources("mem:512") + flat);
}

#[test]
fn grow_and_shrink_volume() {
    let volume = |amount| disk(amount, "role", Some("1"), Some("path"), None);
    let total = resources("disk(role):1000") + of(volume("200"));
    let grow =
        Operation::GrowVolume { volume: volume("200"), addition: resource("disk(role):100") };
    let grown = total.apply(&grow).unwrap();
    assert_eq!(grown, resources("disk(role):900") + of(volume("300")));
    let shrink =
        |by| Operation::ShrinkVolume { volume: volume("300"), subtract: Scalar::whole(by) };
    assert_eq!(grown.apply(&shrink(100)).unwrap(), total);
    for by in [0, 300, 400] {
        assert_eq!(grown.apply(&shrink(by)).unwrap_err().place, "shrink_volume.subtract");
    }
    let whole = || Some(source(SourceKind::Mount, "mnt"));
    let mounted = disk("200", "role", Some("1"), Some("path"), whole());
    let part = Operation::ShrinkVolume { volume: mounted.clone(), subtract: Scalar::whole(50) };
    // What is left of the volume is there, and what it lost is disk space again.
    let after = of(mounted).apply(&part).unwrap();
    assert_eq!(after.persistent_volumes().scalar("disk"), Scalar::whole(150));
}

#[test]
fn stripped_resources_volume() {
    let volume = of(disk("200", "role", Some("1"), Some("path"), None));
    assert_eq!(Quantities::of_scalars(&volume), Quantities::parse("disk:200").unwrap());
}

#[test]
fn stripped_resources_allocated() {
    let allocated = resources("cpus:1;mem:512").allocated_to("role");
    assert_eq!(Quantities::of_scalars(&allocated), Quantities::parse("cpus:1;mem:512").unwrap());
}

#[test]
fn stripped_resources_reserved() {
    let reserved = reserved("cpus:1;mem:512", &dynamic("role", "principal"));
    assert_eq!(Quantities::of_scalars(&reserved), Quantities::parse("cpus:1;mem:512").unwrap());
}

#[test]
fn stripped_resources_resource_provider() {
    let provided = resource("cpus:1").map_details(|details| details.provider = Some("id".into()));
    assert_eq!(Quantities::of_scalars(&of(provided)), Quantities::parse("cpus:1").unwrap());
}

#[test]
fn stripped_resources_non_scalar() {
    let rest = resources("ports:[10000-20000, 30000-50000];names:{foo,bar}");
    assert!(Quantities::of_scalars(&rest).is_empty());
}

#[test]
fn stripped_resources_revocable() {
    let revocable = revocable("cpus:1");
    assert_eq!(Quantities::of_scalars(&revocable), Quantities::parse("cpus:1").unwrap());
}
