//! Disks and volumes.

use muster_resources::{Problem, Resource, Resources, Source, SourceKind};

use crate::{disk, of, resource, resources, source};

#[expect(clippy::unnecessary_wraps, reason = "the form in which disks take it")]
fn path(root: &str) -> Option<Source> {
    Some(source(SourceKind::Path, root))
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which disks take it")]
fn mount(root: &str) -> Option<Source> {
    Some(source(SourceKind::Mount, root))
}

#[test]
fn disk_validation() {
    let mut wrong = resource("cpus:2").to_proto();
    wrong.disk = disk("10", "*", Some("1"), Some("path"), None).to_proto().disk;
    let error = Resources::from_proto(&[wrong]).unwrap_err();
    assert_eq!(error.to_string(), "resources[0].disk: the field must not be set: only disk has it");
    for valid in [
        disk("10", "role", Some("1"), Some("path"), None),
        disk("10", "*", None, Some("path"), None),
        disk("10", "role", Some("1"), Some("path"), path("mnt")),
        disk("10", "role", Some("1"), Some("path"), mount("mnt")),
    ] {
        assert_eq!(Resource::from_proto(&valid.to_proto()), Ok(valid));
    }
    let mut contradiction = disk("10", "*", None, None, mount("mnt")).to_proto();
    let source = contradiction.disk.as_mut().unwrap().source.as_mut().unwrap();
    source.set_type(SourceKind::Block.into());
    let error = Resources::from_proto(&[contradiction]).unwrap_err();
    assert_eq!(error.place, "resources[0].disk.source.mount");
    assert!(matches!(error.problem, Problem::Unwanted(_)));
}

#[test]
fn disk_equals() {
    let plain = disk("10", "*", None, None, None);
    let one = disk("10", "*", None, Some("path1"), None);
    let other = disk("10", "*", None, Some("path2"), None);
    assert_ne!(plain, one);
    assert_eq!(one, other);
    let reserved = disk("10", "role", None, Some("path2"), None);
    let volume1 = disk("10", "role", Some("1"), Some("path1"), None);
    let volume1_elsewhere = disk("10", "role", Some("1"), Some("path2"), None);
    let volume2 = disk("10", "role", Some("2"), Some("path2"), None);
    assert_eq!(volume1, volume1_elsewhere);
    assert_ne!(volume1_elsewhere, volume2);
    assert_ne!(reserved, volume2);
}

#[test]
fn disk_source_equals() {
    let of = |path, source| disk("10", "*", None, path, source);
    assert_eq!(of(None, path("mnt")), of(Some("path1"), path("mnt")));
    assert_eq!(of(Some("path1"), path("mnt")), of(Some("path2"), path("mnt")));
    assert_eq!(of(None, path("mnt2")), of(Some("path1"), path("mnt2")));
    let volume = |id, at| disk("10", "role", id, Some(at), path("mnt"));
    assert_eq!(volume(Some("1"), "path1"), volume(Some("1"), "path2"));
    assert_ne!(volume(Some("1"), "path2"), volume(Some("2"), "path2"));
    assert_ne!(volume(None, "path2"), volume(Some("2"), "path2"));
    let unique = [path("mnt"), path("mnt2"), mount("mnt"), mount("mnt2")];
    for (index, one) in unique.iter().enumerate() {
        for (other_index, other) in unique.iter().enumerate() {
            let equal = of(None, one.clone()) == of(None, other.clone());
            assert_eq!(equal, index == other_index);
        }
    }
}

#[test]
fn source_identity() {
    for kind in [SourceKind::Raw, SourceKind::Path, SourceKind::Block, SourceKind::Mount] {
        for fields in 0..8 {
            let set = |bit: u8, text: &str| (fields & bit != 0).then(|| text.to_owned());
            let source = Source {
                kind,
                root: None,
                vendor: set(1, "vendor"),
                id: set(2, "id"),
                profile: set(4, "profile"),
                metadata: None,
            };
            let of = |amount| of(disk(amount, "*", None, None, Some(source.clone())));
            let (one, two) = (of("1"), of("2"));
            assert!(one.contains(&one));
            let divisible = match kind {
                SourceKind::Raw => source.id.is_none(),
                SourceKind::Path => true,
                SourceKind::Block | SourceKind::Mount => false,
            };
            let sum = one.clone() + &one;
            assert_eq!(two.contains(&one), divisible, "{source}");
            assert_eq!(two == sum, divisible, "{source}");
            assert_eq!(sum.len(), if divisible { 1 } else { 2 }, "{source}");
        }
    }
}

#[test]
fn disk_addition() {
    let of = |amount, id, path| of(disk(amount, "role", id, path, None));
    let (one, bare) = (of("10", None, Some("path")), of("10", None, None));
    assert_eq!(one.clone() + &one, of("20", None, Some("path")));
    assert_ne!(one.clone() + &bare, of("20", None, Some("path")));
    let (volume1, volume2) = (of("10", Some("1"), Some("path")), of("10", Some("2"), Some("path")));
    let sum = volume1.clone() + &volume2;
    assert!(sum.contains(&volume1) && sum.contains(&volume2));
    assert!(!sum.contains(&of("20", None, Some("path"))));
    assert!(!sum.contains(&of("20", Some("1"), Some("path"))));
    assert_eq!(sum, volume2 + volume1);
}

#[test]
fn disk_source_addition() {
    let of = |amount, source| of(disk(amount, "role", None, None, source));
    let one = of("10", path("mnt"));
    assert_ne!(of("20", path("mnt2")), one.clone() + &one);
    assert_ne!(of("20", path("mnt2")), one.clone() + of("10", path("mnt2")));
    assert_eq!(of("20", path("mnt")), one.clone() + &one);
    assert!(of("20", path("mnt")).contains(&one));
    let whole = of("10", mount("mnt"));
    assert_ne!(of("20", mount("mnt2")), whole.clone() + &whole);
    assert_ne!(of("20", mount("mnt2")), whole.clone() + of("10", mount("mnt2")));
    assert!(!of("20", mount("mnt")).contains(&whole));
    assert!(of("20", mount("mnt")).contains(&of("20", mount("mnt"))));
    assert_ne!(of("20", path("mnt")), one.clone() + &whole);
    assert_eq!(one.clone() + &whole, whole + one);
}

#[test]
fn disk_subtraction() {
    let of = |id, path| of(disk("10", "role", id, Some(path), None));
    let (one, bare) = (of(None, "path"), crate::of(disk("10", "role", None, None, None)));
    assert!((one.clone() - &one).is_empty());
    assert!((bare.clone() - &bare).is_empty());
    assert!(!(one - bare).is_empty());
    let (volume1, volume2) = (of(Some("1"), "path"), of(Some("2"), "path"));
    assert_eq!(volume1.clone() - &volume2, volume1);
    assert!((volume1.clone() - &volume1).is_empty());
    assert!((volume2 - of(Some("2"), "path2")).is_empty());
}

#[test]
fn disk_source_subtraction() {
    let of = |amount, source| of(disk(amount, "role", None, None, source));
    let one = of("10", path("mnt"));
    assert!((one.clone() - &one).is_empty());
    assert!((of("20", path("mnt")) - &one - &one).is_empty());
    assert_eq!(of("10", path("mnt2")) - &one, of("10", path("mnt2")));
    assert_eq!(of("20", path("mnt")) - &one, one);
    let whole = of("10", mount("mnt"));
    assert!((whole.clone() - &whole).is_empty());
    assert_eq!(of("20", mount("mnt")) - &whole - &whole, of("20", mount("mnt")));
    assert_eq!(of("10", mount("mnt2")) - &whole, of("10", mount("mnt2")));
    assert_eq!(of("20", mount("mnt")) - &whole, of("20", mount("mnt")));
    assert_eq!(whole.clone() - one, whole);
}

#[test]
fn disk_contains() {
    let volume = of(disk("10", "role", Some("1"), Some("path"), None));
    let twice = volume.clone() + &volume;
    assert!(!volume.contains(&twice));
    assert!(twice.contains(&twice));
    let other = of(disk("20", "role", Some("2"), Some("path"), None));
    let both = volume.clone() + &other;
    assert!(both.contains(&volume) && both.contains(&other));
}

#[test]
fn source_contains() {
    let volume = |amount, source| of(disk(amount, "role", Some("1"), Some("path"), source));
    for source in [path("mnt"), mount("mnt")] {
        let (ten, twenty) = (volume("10", source.clone()), volume("20", source));
        assert!(ten.contains(&ten) && twenty.contains(&twenty));
        assert!(!twenty.contains(&ten));
        assert!(!twenty.contains(&(ten.clone() + &ten)));
    }
    for (source, divisible) in [(path("mnt"), true), (mount("mnt"), false)] {
        let of = |amount| of(disk(amount, "role", None, None, source.clone()));
        let (ten, twenty) = (of("10"), of("20"));
        assert!(ten.contains(&ten) && twenty.contains(&twenty));
        assert_eq!(twenty.contains(&ten), divisible);
        assert_eq!(twenty.contains(&(ten.clone() + &ten)), divisible);
    }
}

#[test]
fn filter_persistent_volumes() {
    let volume = of(disk("10", "role1", Some("1"), Some("path"), None));
    let space = of(disk("20", "role2", None, None, None));
    let all = resources("cpus:1;mem:512;disk:1000") + &volume + space;
    assert_eq!(all.persistent_volumes(), volume);
}
