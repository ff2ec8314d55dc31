//! The image `nginx`: Debian's nginx, the libraries it loads, and an entry point that serves a
//! page naming the task.

use super::Image;
use super::busybox;
use super::debian::{self, Package, Packages};
use super::layer::{Layer, sha256};
use crate::error::Result;

const ENTRYPOINT: &str = include_str!("nginx/entrypoint.sh");
const CONFIGURATION: &str = include_str!("nginx/nginx.conf");
const PROGRAM: &str = "/usr/sbin/nginx";

/// Packages with nginx itself: the program, and the table of media types.
const PACKAGES: [&str; 2] = ["nginx", "nginx-common"];

/// Changed by hand when [`image`] puts something else into the layers; files count by themselves.
pub(super) fn revision() -> String {
    let files = sha256(format!("{ENTRYPOINT}{CONFIGURATION}").as_bytes());
    format!("1 {} {files}", busybox::REVISION)
}

pub(super) fn packages() -> Result<Vec<Package>> {
    debian::candidates(&names()?)
}

fn names() -> Result<Vec<String>> {
    let mut names = vec![busybox::PACKAGE.to_owned()];
    names.extend(PACKAGES.map(str::to_owned));
    names.extend(debian::libraries_of(PACKAGES[0])?);
    Ok(names)
}

pub(super) fn image(packages: &Packages) -> Result<Image> {
    let root = packages.root();
    let mut server = Layer::new("nginx and the libraries it loads");
    server.copy(&root, PROGRAM)?.copy(&root, "/etc/nginx/mime.types")?;
    for library in packages.libraries(PROGRAM)? {
        server.copy(&root, &library)?;
    }
    for package in PACKAGES.into_iter().map(str::to_owned).chain(debian::libraries_of(PACKAGES[0])?)
    {
        busybox::copyright(&mut server, packages, &package)?;
    }
    server.directory("/var/lib/nginx", 0o755).directory("/var/log/nginx", 0o755);

    let mut site = Layer::new("the entry point");
    site.file("/entrypoint.sh", 0o755, ENTRYPOINT).file(
        "/etc/nginx/template",
        0o644,
        CONFIGURATION,
    );

    Ok(Image {
        layers: vec![busybox::layer(packages)?, server, site],
        entrypoint: vec!["/entrypoint.sh".into()],
        command: ["nginx", "-e", "stderr", "-g", "daemon off;"].map(str::to_owned).into(),
        stop_signal: Some("SIGTERM"),
        exposed_port: Some("80/tcp"),
    })
}
