//! Archives, kind and hostile.

mod hostile;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{XattrFlags, getxattr, lgetxattr, setxattr};
use tar::EntryType;

use super::{EntryError, Extracted, extract};
use crate::image::ImageLimits;
use crate::image::limits::Budget;

/// One entry; the archive's writer would refuse some of these paths.
#[derive(Clone, Debug)]
struct Item {
    kind: EntryType,
    path: String,
    target: String,
    mode: u32,
    owner: (u64, u64),
    content: Vec<u8>,
    pax: Vec<(&'static str, Vec<u8>)>,
}

fn item(kind: EntryType, path: &str) -> Item {
    Item {
        kind,
        path: path.into(),
        target: String::new(),
        mode: 0o755,
        owner: (0, 0),
        content: Vec::new(),
        pax: Vec::new(),
    }
}

fn file(path: &str, content: &str) -> Item {
    Item { content: content.into(), ..item(EntryType::Regular, path) }
}

fn directory(path: &str) -> Item {
    item(EntryType::Directory, path)
}

fn link(kind: EntryType, path: &str, target: &str) -> Item {
    Item { target: target.into(), ..item(kind, path) }
}

fn archive(items: &[Item]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        if !item.pax.is_empty() {
            let pax = item.pax.iter().map(|(name, value)| (*name, value.as_slice()));
            builder.append_pax_extensions(pax).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..item.path.len()].copy_from_slice(item.path.as_bytes());
        raw.linkname[..item.target.len()].copy_from_slice(item.target.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_uid(item.owner.0);
        header.set_gid(item.owner.1);
        header.set_mtime(1_600_000_000);
        header.set_size(item.content.len() as u64);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        builder.append(&header, item.content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A place for a root, with something beside it that must not be touched.
struct Ground(tempfile::TempDir);

impl Ground {
    /// `None` without root, except in CI, where no test may be left out.
    fn new() -> Option<Self> {
        if !crate::testing::is_root() {
            return None;
        }
        let ground = Self(tempfile::tempdir().unwrap());
        fs::create_dir(ground.root()).unwrap();
        fs::write(ground.0.path().join("beside"), "untouched").unwrap();
        Some(ground)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn extract(&self, items: &[Item]) -> Result<(), EntryError> {
        self.implied(items).map(drop)
    }

    fn implied(&self, items: &[Item]) -> Result<BTreeSet<PathBuf>, EntryError> {
        self.within(ImageLimits::default(), &archive(items)).map(|extracted| extracted.implied)
    }

    fn within(&self, limits: ImageLimits, archive: &[u8]) -> Result<Extracted, EntryError> {
        let budget = Budget::new(limits);
        extract(archive, &self.root(), &budget.meter(archive.len() as u64))
    }
}

fn opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    getxattr(path, "trusted.overlay.opaque", &mut value[..]).is_ok_and(|n| value[..n] == *b"y")
}

fn whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

#[test]
fn keeps_mode_owner_time_links_and_attributes() {
    let Some(ground) = Ground::new() else { return };
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ground
        .extract(&[
            Item { mode: 0o711, owner: (5, 6), ..directory("./") },
            Item { mode: 0o2750, owner: (7, 8), ..directory("d/") },
            Item {
                mode: 0o4755,
                owner: (9, 10),
                pax: vec![
                    ("SCHILY.xattr.security.capability", capability.to_vec()),
                    ("SCHILY.xattr.user.note", b"a\nb".to_vec()),
                    ("SCHILY.xattr.trusted.overlay.redirect", b"/etc".to_vec()),
                    ("mtime", b"1500000000.25".to_vec()),
                ],
                ..file("d/f", "content")
            },
            link(EntryType::Link, "d/hard", "/d/f"),
            Item { owner: (11, 12), ..link(EntryType::Symlink, "d/soft", "/d/f") },
            item(EntryType::Fifo, "d/fifo"),
            item(EntryType::Char, "d/null"),
            item(EntryType::Block, "d/block"),
        ])
        .unwrap();
    let root = ground.root();
    let stat = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    let of = |path: &str| (stat(path).mode() & 0o7777, stat(path).uid(), stat(path).gid());
    assert_eq!(of(""), (0o711, 5, 6));
    assert_eq!(of("d"), (0o2750, 7, 8));
    assert_eq!(of("d/f"), (0o4755, 9, 10));
    assert_eq!((stat("d/soft").uid(), stat("d/soft").gid()), (11, 12));
    assert_eq!(fs::read_link(root.join("d/soft")).unwrap(), Path::new("/d/f"));
    assert_eq!(stat("d/hard").ino(), stat("d/f").ino());
    assert_eq!((stat("d/f").mtime(), stat("d/f").mtime_nsec()), (1_500_000_000, 250_000_000));
    assert_eq!([stat("").mtime(), stat("d").mtime(), stat("d/soft").mtime()], [1_600_000_000; 3]);
    assert!(stat("d/fifo").file_type().is_fifo());
    assert!(stat("d/block").file_type().is_block_device());
    assert_eq!(stat("d/null").rdev(), rustix::fs::makedev(1, 3));
    let attribute = |name: &str| {
        let mut value = [0; 64];
        lgetxattr(root.join("d/f"), name, &mut value[..]).map(|length| value[..length].to_vec())
    };
    assert_eq!(attribute("security.capability").unwrap(), capability);
    assert_eq!(attribute("user.note").unwrap(), b"a\nb");
    assert!(attribute("trusted.overlay.redirect").is_err());
}

#[test]
fn whiteouts_become_overlays() {
    let Some(ground) = Ground::new() else { return };
    ground
        .extract(&[
            directory("d/"),
            file("d/.wh.gone", ""),
            directory("all/"),
            file("all/.wh..wh..opq", ""),
            file("all/new", ""),
            file(".wh..wh.plnk", ""),
        ])
        .unwrap();
    let root = ground.root();
    assert!(whiteout(&root.join("d/gone")));
    assert!(opaque(&root.join("all")) && !opaque(&root.join("d")));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
    assert_eq!(fs::read_dir(root.join("d")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(root.join("all")).unwrap().count(), 1);
}

#[test]
fn what_a_layer_hides_and_has_it_has() {
    // In either order: whiteouts are about the layers below.
    for swap in [false, true] {
        let Some(ground) = Ground::new() else { return };
        let mut items = [
            [file(".wh.f", ""), file("f", "new")],
            [file(".wh.d", ""), directory("d/")],
            [file(".wh.l", ""), link(EntryType::Symlink, "l", "f")],
        ];
        if swap {
            for pair in &mut items {
                pair.reverse();
            }
        }
        ground.extract(&items.concat()).unwrap();
        let root = ground.root();
        assert_eq!(fs::read_to_string(root.join("f")).unwrap(), "new", "{swap}");
        assert!(root.join("d").is_dir() && opaque(&root.join("d")), "{swap}");
        assert!(root.join("l").is_symlink(), "{swap}");
    }
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let Some(ground) = Ground::new() else { return };
    ground
        .extract(&[
            file("a", "1"),
            file("a", "2"),
            directory("b/"),
            file("b/inside", ""),
            file("b", "file"),
            link(EntryType::Symlink, "c", "/"),
            directory("c/"),
            file("c/inside", ""),
            Item { mode: 0o700, ..directory("e/") },
            file("e/inside", ""),
            Item { mode: 0o750, ..directory("e/") },
        ])
        .unwrap();
    let root = ground.root();
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "2");
    assert_eq!(fs::read_to_string(root.join("b")).unwrap(), "file");
    assert!(root.join("c/inside").exists() && !root.join("inside").exists());
    assert!(root.join("e/inside").exists());
    assert_eq!(fs::metadata(root.join("e")).unwrap().permissions().mode() & 0o7777, 0o750);
}

#[test]
fn links_to_directories_lead_within_the_root() {
    let Some(ground) = Ground::new() else { return };
    ground
        .extract(&[
            directory("usr/"),
            directory("usr/lib/"),
            link(EntryType::Symlink, "lib", "/usr/lib"),
            file("lib/x", ""),
            link(EntryType::Symlink, "up", "../../../.."),
            file("up/y", ""),
            link(EntryType::Symlink, "abs", "/"),
            file("abs/z", ""),
        ])
        .unwrap();
    for path in ["usr/lib/x", "y", "z"] {
        assert!(ground.root().join(path).is_file(), "{path}");
    }
}

#[test]
fn refuses_what_is_not_inside() {
    let beside = |kind| link(kind, "x", "../beside");
    for (items, reason) in [
        (vec![file("/etc/x", "")], "an absolute path"),
        (vec![file("a/../../beside", "")], "a path with `..`"),
        (vec![directory("..")], "a path with `..`"),
        (vec![beside(EntryType::Link)], "a path with `..`"),
        (vec![link(EntryType::Link, "x", "missing")], "which this layer does not have"),
        (vec![file("f", ""), file("f/x", "")], "its parent is not a directory"),
        (vec![link(EntryType::Symlink, "l", "nowhere"), file("l/x", "")], "dangling"),
        (vec![file(".wh.", "")], "a whiteout of no name"),
        (vec![file(".wh...", "")], "a whiteout of no name"),
        (vec![file("./", "x")], "the root is not a directory"),
        (vec![item(EntryType::new(b'V'), "x")], "unsupported entry type `V`"),
    ] {
        let Some(ground) = Ground::new() else { return };
        let error = ground.extract(&items).unwrap_err();
        assert!(error.reason.contains(reason), "{items:?}: {error:?}");
        assert!(!error.entry.is_empty());
    }
}

#[test]
fn half_an_archive_is_no_archive() {
    let Some(ground) = Ground::new() else { return };
    let bytes = archive(&[file("a", &"x".repeat(2000)), file("b", "")]);
    let error = ground.within(ImageLimits::default(), &bytes[..1500]).unwrap_err();
    assert!(!error.reason.is_empty());
}

fn hostile_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", ".wh.a", ".wh..wh..opq"]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn hostile_item() -> impl Strategy<Value = Item> {
    let kind = prop::sample::select(vec![
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::Char,
    ]);
    let target = prop::sample::select(vec![
        "/",
        "..",
        "../beside",
        "a",
        "/a",
        "a/b",
        "../../..",
        "/proc/self/root",
        ".",
        "b/..",
    ]);
    (kind, hostile_path(), target, prop::sample::select(vec![0o755, 0o000, 0o4777])).prop_map(
        |(kind, path, target, mode)| {
            let links = matches!(kind, EntryType::Symlink | EntryType::Link);
            let content = if kind.is_file() { b"hostile".to_vec() } else { Vec::new() };
            Item {
                mode,
                content,
                owner: (1, 1),
                ..link(kind, &path, if links { target } else { "" })
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an archive holds, only what is below the root changes.
    #[test]
    fn nothing_beside_the_root_is_touched(items in prop::collection::vec(hostile_item(), 1..12)) {
        let Some(ground) = Ground::new() else { return Ok(()) };
        let beside = ground.0.path().join("beside");
        setxattr(&beside, "user.mark", b"1", XattrFlags::empty()).unwrap();
        let before = fs::metadata(&beside).unwrap();
        let host = fs::metadata("/").unwrap();
        let _refused_or_not = ground.extract(&items);
        let after = fs::metadata(&beside).unwrap();
        prop_assert_eq!(fs::read_to_string(&beside).unwrap(), "untouched");
        prop_assert_eq!(
            (before.mode(), before.uid(), before.nlink(), before.mtime(), before.ctime_nsec()),
            (after.mode(), after.uid(), after.nlink(), after.mtime(), after.ctime_nsec())
        );
        prop_assert_eq!(fs::read_dir(ground.0.path()).unwrap().count(), 2);
        prop_assert_eq!(fs::metadata("/").unwrap().mode(), host.mode());
    }
}

#[test]
fn directories_without_an_entry_are_told() {
    let Some(ground) = Ground::new() else { return };
    let items = [
        directory("named"),
        file("named/implied/file", ""),
        file("late/file", ""),
        link(EntryType::Symlink, "link", "named"),
        file("link/through/file", ""),
        directory("late"),
    ];
    let implied = ground.implied(&items).unwrap();
    let implied: Vec<_> = implied.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(implied, ["", "named/implied", "named/through"]);
    let Some(ground) = Ground::new() else { return };
    assert!(ground.implied(&[directory("./"), file("file", "")]).unwrap().is_empty());
}
