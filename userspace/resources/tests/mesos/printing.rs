//! Mesos' form of printing.

use muster_api::mesos::volume::Mode;
use muster_resources::{Reservation, Resource, SourceKind};

use crate::{disk, dynamic, labels, of, resource, resources, shared_disk, source};

#[test]
fn printing() {
    let all = resources("cpus:45.55;ports:[10000-20000, 30000-50000];disks:{sda1}");
    assert_eq!(format!("{all:#}"), "cpus:45.55; ports:[10000-20000, 30000-50000]; disks:{sda1}");
    assert_eq!(all.to_string(), "cpus:45.55;ports:[10000-20000, 30000-50000];disks:{sda1}");
    assert_eq!(format!("{:#}", resources("")), "{}");
}

#[test]
fn printing_extended_attributes() {
    let printed = |resource: &Resource| format!("{resource:#}");
    let mut plain = resource("disk:1");
    assert_eq!(printed(&plain), "disk:1");
    plain = resource("disk(alice):1");
    assert_eq!(printed(&plain), "disk(reservations: [(STATIC,alice)]):1");
    let allocated = plain.clone().with_allocation(Some("role".into()));
    assert_eq!(printed(&allocated), "disk(allocated: role)(reservations: [(STATIC,alice)]):1");
    let revocable = plain.map_details(|details| details.revocable = true);
    assert_eq!(printed(&revocable), "disk(reservations: [(STATIC,alice)]){REV}:1");
    let volume = disk("1", "alice", Some("hadoop"), Some("/data"), None);
    assert_eq!(printed(&volume), "disk(reservations: [(STATIC,alice)])[hadoop:/data]:1");
    let both = volume.map_details(|details| details.revocable = true);
    assert_eq!(printed(&both), "disk(reservations: [(STATIC,alice)])[hadoop:/data]{REV}:1");
    let hosted = volume.map_details(|details| {
        let volume = details.disk.as_mut().unwrap().volume.as_mut().unwrap();
        volume.host_path = Some("/hdfs".to_owned());
        volume.set_mode(Mode::Rw);
    });
    assert_eq!(printed(&hosted), "disk(reservations: [(STATIC,alice)])[hadoop:/hdfs:/data:rw]:1");
    for (kind, root, text) in
        [(SourceKind::Mount, "/mnt1", "MOUNT:/mnt1"), (SourceKind::Path, "/mnt2", "PATH:/mnt2")]
    {
        let sourced = hosted.map_details(|details| {
            details.disk.as_mut().unwrap().source = Some(source(kind, root));
        });
        let expected =
            format!("disk(reservations: [(STATIC,alice)])[{text},hadoop:/hdfs:/data:rw]:1");
        assert_eq!(printed(&sourced), expected);
    }
    let refined = hosted.with_reservation(dynamic("alice/refined", "hdfs-p")).unwrap();
    assert_eq!(
        printed(&refined),
        "disk(reservations: [(STATIC,alice),(DYNAMIC,alice/refined,hdfs-p)])\
         [hadoop:/hdfs:/data:rw]:1"
    );
    let with_labels = Reservation {
        labels: Some(labels(&[("foo", Some("bar")), ("foo", None)])),
        ..dynamic("alice/refined", "hdfs-p")
    };
    assert_eq!(
        printed(&hosted.with_reservation(with_labels).unwrap()),
        "disk(reservations: [(STATIC,alice),(DYNAMIC,alice/refined,hdfs-p,\
         {foo: bar, foo})])[hadoop:/hdfs:/data:rw]:1"
    );
}

#[test]
fn printing_scalar_precision() {
    for (number, printed) in [
        ("1.234", "1.234"),
        ("1.2345", "1.235"),
        ("1.2344", "1.234"),
        ("1.10", "1.1"),
        ("1000001", "1000001"),
        ("99999999999.9994", "99999999999.999"),
    ] {
        assert_eq!(resources(&format!("cpus:{number}")).to_string(), format!("cpus:{printed}"));
    }
}

#[test]
fn shared_printing() {
    let volume = of(shared_disk("64", "role1", "id1", "path1"));
    let text = "disk(reservations: [(STATIC,role1)])[id1:path1]<SHARED>:64";
    assert_eq!(format!("{volume:#}"), format!("{text}<1>"));
    assert_eq!(format!("{:#}", volume.clone() + &volume), format!("{text}<2>"));
    // The short form says all that there is, too.
    assert_eq!(volume.to_string(), format!("{text}<1>"));
}
