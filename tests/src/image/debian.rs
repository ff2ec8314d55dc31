//! Files from Debian's packages, without installing them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::layer::inside;
use crate::command;
use crate::error::{Error, Result};

/// A package at the version that apt would install now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// Its file name, with name, version and architecture.
    pub(super) file: String,
    /// Its digest as apt prints it, such as `SHA256:…`.
    pub(super) digest: String,
}

/// Finds out which packages `names` are.
pub(super) fn candidates(names: &[String]) -> Result<Vec<Package>> {
    let mut apt = Command::new("apt-get");
    apt.args(["download", "--print-uris"]).args(names);
    let output = command::output(&mut apt).map_err(|error| Error::Missing {
        what: format!("{} among apt's packages ({error})", names.join(", ")),
        fix: "run `apt-get update` as root, with Debian's main in the sources".into(),
    })?;
    let mut packages: Vec<Package> = output.lines().filter_map(parse_uri).collect();
    packages.sort();
    if packages.len() == names.len() {
        return Ok(packages);
    }
    Err(Error::Unexpected {
        what: format!("apt's answer about {}", names.join(", ")),
        reason: format!("it names {} packages:\n{output}", packages.len()),
    })
}

/// `'http://…' busybox_1_amd64.deb 928188 SHA256:3d3f…`
fn parse_uri(line: &str) -> Option<Package> {
    let mut fields = line.rsplit(' ');
    let digest = fields.next()?.to_owned();
    let _size: u64 = fields.next()?.parse().ok()?;
    let file = fields.next()?.to_owned();
    Some(Package { file, digest })
}

/// The shared libraries' packages that `package` depends on directly.
pub(super) fn libraries_of(package: &str) -> Result<Vec<String>> {
    let mut apt = Command::new("apt-cache");
    apt.args(["depends", "--important", package]);
    let output = command::output(&mut apt)?;
    let names = output.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.filter(|name| name.starts_with("lib") || *name == "zlib1g").map(Into::into).collect())
}

/// Packages, downloaded and unpacked into one tree.
pub(super) struct Packages {
    directory: tempfile::TempDir,
}

impl Packages {
    /// Downloads `packages` and unpacks them.
    pub(super) fn fetch(packages: &[Package]) -> Result<Self> {
        let directory =
            tempfile::tempdir().map_err(Error::system("mkdir", "a temporary directory"))?;
        let fetched = Self { directory };
        let root = fetched.root();
        fs::create_dir(&root).map_err(Error::system("mkdir", root.display().to_string()))?;
        let names = packages.iter().filter_map(|package| {
            let mut parts = package.file.split('_');
            let (name, version) = (parts.next()?, parts.next()?);
            Some(format!("{name}={}", version.replace("%3a", ":")))
        });
        let mut download = Command::new("apt-get");
        // The directory is the caller's alone; apt's own user could not write to it.
        download.args(["download", "--quiet", "-o", "APT::Sandbox::User=root"]).args(names);
        command::output(download.current_dir(fetched.directory.path()))?;
        for package in packages {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("-x").arg(fetched.directory.path().join(&package.file)).arg(&root);
            command::output(&mut unpack)?;
        }
        Ok(fetched)
    }

    /// Where the packages' files are.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The first of `paths` that the packages have.
    pub(super) fn first<'a>(&self, paths: &[&'a str]) -> Result<&'a str> {
        let root = self.root();
        let found = paths.iter().find(|path| inside(&root, path).exists());
        found.copied().ok_or_else(|| Error::Unexpected {
            what: "the packages".into(),
            reason: format!("none has {}", paths.join(" or ")),
        })
    }

    /// What the dynamic linker loads for `program`, as paths in the tree, the linker first: asked
    /// of the packages' own linker, so the machine's libraries play no part.
    pub(super) fn libraries(&self, program: &str) -> Result<Vec<String>> {
        let root = self.root();
        let linker = self.first(LINKERS)?;
        let path: Vec<String> =
            library_directories(&root).iter().map(|path| path.display().to_string()).collect();
        let mut list = Command::new(inside(&root, linker));
        list.arg("--inhibit-cache").arg("--library-path").arg(path.join(":"));
        list.arg("--list").arg(inside(&root, program));
        let output = command::output(&mut list)?;
        let mut found = BTreeSet::new();
        for line in output.lines() {
            // `libz.so.1 => /tree/lib/libz.so.1 (0x…)`; others are the linker and the vDSO.
            let Some((name, rest)) = line.trim().split_once(" => ") else { continue };
            let path = rest.split(" (").next().unwrap_or_default();
            let inside = Path::new(path).strip_prefix(&root).map_err(|_| Error::Missing {
                what: format!("{name}, which {program} needs,"),
                fix: format!("it is in no package that is unpacked ({rest})"),
            })?;
            found.insert(format!("/{}", inside.display()));
        }
        Ok(std::iter::once(linker.to_owned()).chain(found).collect())
    }
}

/// The dynamic linker by architecture (`ld.so(8)`).
const LINKERS: &[&str] = &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

fn library_directories(root: &Path) -> Vec<PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["lib", "usr/lib"].iter().map(|parent| root.join(parent).join(&triplet)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_print_uris() {
        let line = "'http://mirror/pool/b/busybox-static_1.35.0-4%2bb1_amd64.deb' \
                    busybox-static_1%3a1.35.0-4+b1_amd64.deb 928188 SHA256:3d3f";
        let package = parse_uri(line).unwrap();
        assert_eq!(package.file, "busybox-static_1%3a1.35.0-4+b1_amd64.deb");
        assert_eq!(package.digest, "SHA256:3d3f");
        assert_eq!(parse_uri("Reading package lists..."), None);
    }

    #[test]
    fn a_package_that_does_not_exist_is_named() {
        let error = candidates(&["no-such-package-here".into()]).unwrap_err().to_string();
        assert!(error.contains("no-such-package-here") && error.contains("apt-get update"));
    }
}
