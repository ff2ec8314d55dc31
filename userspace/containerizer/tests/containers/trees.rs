//! What a container's root looks like, against what umoci makes of the same image.

mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_containerizer::{ContainerSpec, IdRange, ImageBackend, Registries};
use rustix::fs::{lgetxattr, llistxattr};

use super::registry::{Options, Registry, run};
use super::world::World;
use made::{EARLIER, Made, by_buildah, by_umoci};

/// The first id of a container with a user namespace.
const FIRST: u32 = 1_234_000;

/// Everything about every file below `root`, of its filesystem only; owners are counted from
/// `first`. Hard links are known by their first name.
fn tree(root: &Path, first: u32) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut links = BTreeMap::<(u64, u64), BTreeSet<PathBuf>>::new();
    let mut queue = vec![root.to_owned()];
    while let Some(directory) = queue.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            // Where a container has mounts.
            let mounted = ["proc", "sys", "dev", "mnt", "etc/hosts", "etc/hostname"];
            if mounted.iter().any(|mounted| name.starts_with(mounted))
                || name == Path::new("etc/resolv.conf")
            {
                continue;
            }
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            links.entry((meta.dev(), meta.ino())).or_default().insert(name.clone());
            let id = |id: u32| i64::from(id) - i64::from(first);
            let (mode, owner) = (meta.mode(), (id(meta.uid()), id(meta.gid())));
            let digest =
                sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(content));
            let attributes = attributes(&path, first);
            let line = format!("{mode:o} {owner:?} {} {digest:x?} {attributes:?}", meta.rdev());
            found.insert(name, line);
            if meta.is_dir() {
                queue.push(path);
            }
        }
    }
    for names in links.into_values() {
        let same = format!(" with {:?}", names.first());
        for name in names {
            found.entry(name).and_modify(|line| line.push_str(&same));
        }
    }
    found
}

/// Fails if the link count of a file below `root` is not as in `other`. An overlay's is that of the
/// file's layer, with names that later layers remove.
fn assert_links(root: &Path, other: &Path, names: &BTreeMap<PathBuf, String>) {
    for name in names.keys() {
        let found = fs::symlink_metadata(root.join(name)).unwrap();
        let count = fs::symlink_metadata(other.join(name)).unwrap().nlink();
        assert!(found.is_dir() || found.nlink() == count, "{}: {count}", name.display());
    }
}

fn attributes(path: &Path, first: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = [0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let own = names.filter(|name| !name.starts_with(b"trusted.overlay."));
    own.map(|name| {
        let mut value = [0; 4096];
        let length = lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        let mut value = value[..length].to_vec();
        // Capabilities name whose root has them (revision 3) where that is not the machine's.
        if name == b"security.capability" && first != 0 {
            assert_eq!(value.split_off(20), first.to_le_bytes());
            assert_eq!(std::mem::replace(&mut value[3], 2), 3);
        }
        (name.to_vec(), value)
    })
    .collect()
}

/// Compares the roots of containers of the image with what `umoci unpack` makes of it, by which
/// way and backend it came and by whom it is owned; `look` has another look at each root.
fn compare(world: &mut World, made: &Made, names: &[&str], look: impl Fn(&Path)) {
    let registry = Registry::start(Options::default());
    let unpacked = world.directory.path().join("expected");
    let layout = format!("{}:t", made.layout.display());
    run(Command::new("umoci").args(["unpack", "--image", &layout]).arg(&unpacked));
    let unpacked = unpacked.join("rootfs");
    let expected = tree(&unpacked, 0);
    assert!(expected.len() > 40, "{}", expected.len());
    for name in names {
        assert!(expected.contains_key(Path::new(name)), "{name}");
    }
    made.to(&format!("docker://{}/pulled:1", registry.host));
    for kind in ["docker-archive", "oci-archive"] {
        let archive = world.config.image_dir.join(format!("{kind}.tar"));
        made.to(&format!("{kind}:{}:{kind}:1", archive.display()));
    }
    world.pull_from(Registries {
        default: Some(format!("http://{}", registry.host)),
        insecure: vec![registry.host.clone()],
        ..Registries::default()
    });
    for (backend, first) in
        [(ImageBackend::Overlay, 0), (ImageBackend::Copy, 0), (ImageBackend::Overlay, FIRST)]
    {
        world.restart_with(|isolation| {
            isolation.image_backends = backend.into();
            isolation.user_namespaces = first != 0;
            isolation.user_namespaces_range = IdRange::new(FIRST, 65_536);
        });
        for image in ["pulled:1", "docker-archive:1", "oci-archive:1"] {
            let way = format!("{image} by {backend:?} from {first}");
            let spec =
                ContainerSpec { image: Some(image.into()), ..world.shell("c", "sleep 1000") };
            let launched = world.launch(spec).unwrap();
            let root = PathBuf::from(format!("/proc/{}/root/", launched.pid));
            look(&root);
            let found = tree(&root, first);
            for name in expected.keys().chain(found.keys()) {
                assert_eq!(found.get(name), expected.get(name), "{}: {way}", name.display());
            }
            if backend == ImageBackend::Copy {
                assert_links(&root, &unpacked, &expected);
            }
            world.run(world.containerizer().destroy("c")).unwrap();
        }
    }
}

#[test]
fn roots_are_as_umoci_unpacks_them() {
    let Some(mut world) = World::new() else { return };
    let made = by_umoci(world.directory.path());
    let names = ["kept/server", "opaque/new", "kept/to-directory", "kept/fifo", "kept/some/late"];
    compare(&mut world, &made, &names, |root| {
        for name in ["kept", "kept/some"] {
            assert_eq!(fs::metadata(root.join(name)).unwrap().mtime(), EARLIER, "{name}");
        }
    });
}

#[test]
fn roots_of_buildah_are_as_umoci_unpacks_them() {
    let Some(mut world) = World::new() else { return };
    let made = by_buildah(world.directory.path());
    let names = ["kept/server", "opaque/moved", "kept/to-directory", "kept/later", "gone/again"];
    compare(&mut world, &made, &names, |root| {
        for name in ["gone/deep", "opaque/old", "opaque/three", "kept/link", "kept/to-file"] {
            assert!(fs::symlink_metadata(root.join(name)).is_err(), "{name} is not gone");
        }
        let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
        assert_eq!(inode("kept/one"), inode("kept/two"));
    });
}
