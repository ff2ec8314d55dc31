//! Images made by others' tools, of several layers each.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{XattrFlags, setxattr};
use serde_json::Value;

use super::super::image::{Image, busybox};
use super::super::registry::run;

/// `CAP_NET_BIND_SERVICE`, effective and permitted (`struct vfs_cap_data`, revision 2).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// When some directories of [`by_umoci`] were modified, in seconds since 1970.
pub(super) const EARLIER: i64 = 1_000_000_000;

/// An image, as who made it keeps it.
pub(super) struct Made {
    /// It as an image layout with the tag `t`.
    pub(super) layout: PathBuf,
    /// What copies it to somewhere else, but for the destination.
    copies: Vec<String>,
}

impl Made {
    /// Copies it to `destination`, `docker://HOST/NAME:TAG` or another as skopeo has them.
    pub(super) fn to(&self, destination: &str) {
        let (program, arguments) = self.copies.split_first().unwrap();
        run(Command::new(program).args(arguments).arg(destination));
    }
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

/// Whiteouts, links, capabilities and attributes, by `umoci repack`.
pub(super) fn by_umoci(work: &Path) -> Made {
    Image::new(work, "layout").layer(busybox()).tag("t");
    let layout = format!("{}:t", work.join("layout").display());
    change(&layout, work, |root| {
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
    change(&layout, work, |root| {
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
    change(&layout, work, |root| {
        // A directory whose files change while it seems not to: the layer has no entry for it.
        let some = root.join("kept/some");
        fs::write(some.join("late"), "late").unwrap();
        touch(&some);
        touch(&root.join("kept"));
    });
    let names = names_of_last_layer(&work.join("layout"));
    assert!(names.contains("kept/some/late"), "{names:?}");
    assert!(!names.contains("kept/some/") && !names.contains("kept/"), "{names:?}");
    let copies = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"];
    let mut copies = copies.map(str::to_owned).to_vec();
    copies.push(format!("oci:{layout}"));
    Made { layout: work.join("layout"), copies }
}

/// What a layer of [`by_buildah`] does, a line each.
const LAYERS: [&str; 3] = [
    "mkdir -p gone/deep opaque/old kept/some/empty && echo old > opaque/old/file && \
     echo gone > gone/deep/file && echo linked > kept/one && ln kept/one kept/two && \
     ln kept/one opaque/three && ln -s ../../etc/passwd kept/link && ln -s nowhere kept/dangling && \
     chmod 6751 kept/one && chown 1000:2000 kept && chmod 2750 kept && chmod 1711 kept/some && \
     mkfifo -m 640 kept/fifo && touch kept/to-directory kept/some/file && mkdir kept/to-file && \
     echo server > kept/server",
    "rm -r gone && rm -r opaque && mkdir opaque && echo new > opaque/new && rm kept/link && \
     rm kept/to-directory && mkdir kept/to-directory && rmdir kept/to-file && \
     echo file > kept/to-file && rm kept/some/file && rmdir kept/some/empty",
    "ln kept/two kept/later && echo more >> kept/server && chmod 711 kept/some && \
     mv kept/to-file kept/moved && mkdir gone && echo again > gone/again",
];

/// The same by `buildah`: layers of commands, then one of a changed root filesystem.
pub(super) fn by_buildah(work: &Path) -> Made {
    let context = work.join("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("root.tar"), busybox().bytes()).unwrap();
    let mut recipe = "FROM scratch\nADD root.tar /\n".to_owned();
    for line in LAYERS {
        // The image's own links for them are few.
        let line: Vec<_> = line
            .split(" && ")
            .map(|command| match command {
                echo if echo.starts_with("echo") => echo.to_owned(),
                other => format!("busybox {other}"),
            })
            .collect();
        recipe.extend(["RUN ", &line.join(" && "), "\n"]);
    }
    fs::write(context.join("Dockerfile"), recipe).unwrap();
    let at = |name: &str| work.join(name).display().to_string();
    let (storage, runroot) = (at("storage"), at("runroot"));
    let own = ["buildah", "--storage-driver", "vfs", "--root", &storage, "--runroot", &runroot];
    let buildah = |arguments: &[&str]| run(Command::new(own[0]).args(&own[1..]).args(arguments));
    let context = context.to_str().unwrap();
    buildah(&["bud", "--layers", "--isolation", "chroot", "-t", "built:1", context]);
    let container = buildah(&["from", "built:1"]);
    let root = PathBuf::from(buildah(&["mount", container.trim()]).trim());
    let flags = XattrFlags::empty();
    setxattr(root.join("kept/server"), "security.capability", &CAPABILITY, flags).unwrap();
    setxattr(root.join("kept/to-directory"), "user.of", b"directory", flags).unwrap();
    fs::hard_link(root.join("kept/moved"), root.join("opaque/moved")).unwrap();
    buildah(&["commit", "--rm", container.trim(), "built:2"]);
    let layout = work.join("layout");
    let mut copies: Vec<String> = own.map(str::to_owned).to_vec();
    copies.extend(["push", "--tls-verify=false", "built:2"].map(str::to_owned));
    let made = Made { layout, copies };
    made.to(&format!("oci:{}:t", made.layout.display()));
    made
}
