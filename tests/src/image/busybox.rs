//! The image `busybox`: one static program under all its names. Also the lowest layer of the
//! other images, for `/bin/sh`.

use std::process::Command;

use super::Image;
use super::debian::{self, Package, Packages};
use super::layer::{Layer, inside};
use crate::command;
use crate::error::Result;

/// Name of the package.
pub(super) const PACKAGE: &str = "busybox-static";

/// Changed by hand when [`layer`] puts something else into the layer.
pub(super) const REVISION: &str = "1";

const PROGRAM: &[&str] = &["/bin/busybox", "/usr/bin/busybox"];

pub(super) fn packages() -> Result<Vec<Package>> {
    debian::candidates(&[PACKAGE.to_owned()])
}

pub(super) fn image(packages: &Packages) -> Result<Image> {
    Ok(Image {
        layers: vec![layer(packages)?],
        entrypoint: Vec::new(),
        command: vec!["sh".into()],
        stop_signal: None,
        exposed_port: None,
    })
}

/// A root file system with busybox, the users root, www-data and nobody, and the directories
/// that programs expect.
pub(super) fn layer(packages: &Packages) -> Result<Layer> {
    let root = packages.root();
    let program = packages.first(PROGRAM)?;
    let mut layer = Layer::new("busybox, under every name it has");
    layer.copy(&root, program)?;
    if program != "/bin/busybox" {
        layer.link("/bin/busybox", program);
    }
    let names = command::output(Command::new(inside(&root, program)).arg("--list"))?;
    for name in names.lines().filter(|name| *name != "busybox") {
        layer.link(&format!("/bin/{name}"), "busybox");
    }
    layer
        .file("/etc/passwd", 0o644, PASSWD)
        .file("/etc/group", 0o644, GROUP)
        .file("/etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n")
        .directory("/root", 0o700)
        .directory("/tmp", 0o1777)
        .directory("/var/tmp", 0o1777)
        .link("/var/run", "../run");
    for path in ["/dev", "/proc", "/sys", "/run", "/mnt", "/usr/bin", "/usr/sbin", "/sbin"] {
        layer.directory(path, 0o755);
    }
    copyright(&mut layer, packages, PACKAGE)?;
    Ok(layer)
}

/// Debian's own note on who wrote `package` and under which licence.
pub(super) fn copyright(layer: &mut Layer, packages: &Packages, package: &str) -> Result<()> {
    layer.copy(&packages.root(), &format!("/usr/share/doc/{package}/copyright")).map(drop)
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      www-data:x:33:33:www-data:/var/www:/bin/false\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";

const GROUP: &str = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";
