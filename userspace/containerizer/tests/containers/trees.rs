//! What a container's root looks like, against what umoci makes of the same image.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use muster_containerizer::{ContainerSpec, Registries};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, setxattr};
use serde_json::Value;

use super::image::{Image, busybox};
use super::registry::{Options, Registry, run};
use super::world::World;

/// `CAP_NET_BIND_SERVICE`, effective and permitted (`struct vfs_cap_data`, revision 2).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// When some directories were modified, in seconds since 1970.
const EARLIER: i64 = 1_000_000_000;

/// Everything about every file below `root`, of its filesystem only.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
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
            let links = if meta.is_dir() { 0 } else { meta.nlink() };
            let (mode, owner) = (meta.mode(), (meta.uid(), meta.gid()));
            let digest =
                sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(content));
            let attributes = attributes(&path);
            let line =
                format!("{mode:o} {owner:?} {links} {} {digest:x?} {attributes:?}", meta.rdev());
            found.insert(name, line);
            if meta.is_dir() {
                queue.push(path);
            }
        }
    }
    found
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = [0; 4096];
    let length = llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let own = names.filter(|name| !name.starts_with(b"trusted.overlay."));
    own.map(|name| {
        let mut value = [0; 4096];
        let length = lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        (name.to_vec(), value[..length].to_vec())
    })
    .collect()
}

/// Changes the image as somebody does who builds one with umoci.
fn change(layout: &str, work: &Path, change: impl FnOnce(&Path)) {
    let bundle = work.join("bundle");
    run(Command::new("umoci").args(["unpack", "--image", layout]).arg(&bundle));
    change(&bundle.join("rootfs"));
    run(Command::new("umoci").args(["repack", "--image", layout]).arg(&bundle));
    fs::remove_dir_all(&bundle).unwrap();
}

/// Makes a directory look as if it had not changed for long.
fn touch(directory: &Path) {
    let earlier = UNIX_EPOCH + Duration::from_secs(EARLIER.unsigned_abs());
    fs::File::open(directory).unwrap().set_modified(earlier).unwrap();
}

/// The paths in the uppermost layer of the only image in `layout`.
fn names_of_last_layer(layout: &Path) -> BTreeSet<String> {
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        fs::read(layout.join("blobs/sha256").join(digest)).unwrap()
    };
    let json = |text: Vec<u8>| serde_json::from_slice::<Value>(&text).unwrap();
    let index = json(fs::read(layout.join("index.json")).unwrap());
    let manifest = json(blob(&index["manifests"][0]));
    let layer = blob(manifest["layers"].as_array().unwrap().last().unwrap());
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_slice()));
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn roots_are_as_umoci_unpacks_them() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(Options::default());
    let work = world.directory.path().to_owned();
    Image::new(&work, "layout").layer(busybox()).tag("t");
    let layout = format!("{}:t", work.join("layout").display());
    change(&layout, &work, |root| {
        for name in ["gone/deep", "opaque/old", "kept/some"] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), name).unwrap();
        }
        fs::write(root.join("kept/one"), "linked").unwrap();
        fs::hard_link(root.join("kept/one"), root.join("kept/two")).unwrap();
        fs::hard_link(root.join("kept/one"), root.join("opaque/three")).unwrap();
        symlink("../../etc/passwd", root.join("kept/link")).unwrap();
        symlink("nowhere", root.join("kept/dangling")).unwrap();
        chown(root.join("kept"), Some(1000), Some(2000)).unwrap();
        for (name, mode) in [("kept", 0o2750), ("kept/some", 0o1711)] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(root.join(name), mode).unwrap();
        }
        setxattr(root.join("kept/some"), "user.of", b"directory", XattrFlags::empty()).unwrap();
        touch(&root.join("kept/some"));
        fs::write(root.join("kept/server"), "x").unwrap();
        let flags = XattrFlags::empty();
        setxattr(root.join("kept/server"), "security.capability", &CAPABILITY, flags).unwrap();
        setxattr(root.join("kept/server"), "user.line", b"a\nb", flags).unwrap();
        fs::write(root.join("kept/long".to_owned() + &"n".repeat(180)), "").unwrap();
        fs::write(root.join("kept/to-directory"), "").unwrap();
        fs::create_dir(root.join("kept/to-file")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o6751);
        fs::set_permissions(root.join("kept/one"), mode).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("kept/fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o640),
            0,
        )
        .unwrap();
    });
    change(&layout, &work, |root| {
        fs::remove_dir_all(root.join("gone")).unwrap();
        fs::remove_dir_all(root.join("opaque")).unwrap();
        fs::create_dir(root.join("opaque")).unwrap();
        fs::write(root.join("opaque/new"), "new").unwrap();
        fs::remove_file(root.join("kept/to-directory")).unwrap();
        fs::create_dir(root.join("kept/to-directory")).unwrap();
        fs::remove_dir(root.join("kept/to-file")).unwrap();
        fs::write(root.join("kept/to-file"), "file").unwrap();
        fs::remove_file(root.join("kept/some/file")).unwrap_or_default();
        fs::remove_file(root.join("kept/link")).unwrap();
        // umoci goes by times in seconds: within one, it would leave the directory itself out
        // of the layer. That is right for one that has only lost something.
        touch(&root.join("kept/some"));
        touch(&root.join("kept"));
    });
    change(&layout, &work, |root| {
        // A directory whose files change while it seems not to: the layer has no entry for it.
        let some = root.join("kept/some");
        fs::write(some.join("late"), "late").unwrap();
        touch(&some);
        touch(&root.join("kept"));
    });
    let names = names_of_last_layer(&work.join("layout"));
    assert!(names.contains("kept/some/late"), "{names:?}");
    assert!(!names.contains("kept/some/") && !names.contains("kept/"), "{names:?}");
    let expected = work.join("expected");
    run(Command::new("umoci").args(["unpack", "--image", &layout]).arg(&expected));
    registry.push(&work.join("layout"), "t", "made/by-umoci:1", &[]);

    world.pull_from(Registries {
        default: Some(format!("http://{}", registry.host)),
        insecure: vec![registry.host.clone()],
        ..Registries::default()
    });
    let image = Some("made/by-umoci:1".into());
    let spec = ContainerSpec { image, ..world.shell("c", "sleep 1000") };
    let launched = world.launch(spec).unwrap();
    let root = PathBuf::from(format!("/proc/{}/root/", launched.pid));
    for name in ["kept", "kept/some"] {
        assert_eq!(fs::metadata(root.join(name)).unwrap().mtime(), EARLIER, "{name}");
    }
    let found = tree(&root);
    let expected = tree(&expected.join("rootfs"));
    assert!(expected.len() > 40, "{}", expected.len());
    for name in ["kept/server", "opaque/new", "kept/to-directory", "kept/fifo"] {
        assert!(expected.contains_key(Path::new(name)), "{name}");
    }
    for name in expected.keys().chain(found.keys()) {
        assert_eq!(found.get(name), expected.get(name), "{}", name.display());
    }
}
