//! Images that are on this machine: where they are looked for, and as what.

use std::path::{Path, PathBuf};

use super::reference::Reference;

/// By any of these a directory is taken for a root filesystem, and not for one that holds
/// images.
const ROOTS: [&str; 6] = ["bin", "sbin", "usr", "etc", "lib", "proc"];

/// An image as it is on the disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// An OCI image layout.
    Layout(PathBuf),
    /// An archive, and whether its name says the tag.
    Archive(PathBuf, bool),
    /// A root filesystem.
    Root(PathBuf),
}

/// The image in `directory`: `<name>/` as a layout, an archive `<name>:<tag>.tar` or
/// `<name>.tar`, or a root filesystem `<name>:<tag>/` or, without a tag, `<name>/`.
pub(crate) fn find(directory: &Path, reference: &Reference) -> Option<Local> {
    let own = directory.join(&reference.name);
    if own.join("oci-layout").exists() {
        return Some(Local::Layout(own));
    }
    if let Some(found) = archive(directory, reference) {
        return Some(found);
    }
    if reference.digest.is_some() {
        return None;
    }
    let tagged = directory.join(format!("{}:{}", reference.name, reference.tag));
    let untagged = (reference.tag == "latest").then_some(own);
    let is_root = |path: &PathBuf| ROOTS.iter().any(|name| path.join(name).is_dir());
    [Some(tagged), untagged].into_iter().flatten().find(is_root).map(Local::Root)
}

/// The archive in `directory`.
pub(crate) fn archive(directory: &Path, reference: &Reference) -> Option<Local> {
    let tagged = directory.join(format!("{}:{}.tar", reference.name, reference.tag));
    if reference.digest.is_none() && tagged.is_file() {
        return Some(Local::Archive(tagged, true));
    }
    let plain = directory.join(format!("{}.tar", reference.name));
    plain.is_file().then_some(Local::Archive(plain, false))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_is_found_as_what_it_is() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        for directory in ["layout", "library/root/etc", "library/app:2/bin", "team/x"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        for file in ["layout/oci-layout", "app.tar", "team/app:1.tar", "library/archive.tar"] {
            fs::write(top.join(file), "").unwrap();
        }
        let found = |name: &str| find(top, &Reference::parse(name).unwrap());
        assert_eq!(found("layout"), Some(Local::Layout(top.join("layout"))));
        assert_eq!(found("app:7"), Some(Local::Archive(top.join("app.tar"), false)));
        assert_eq!(found("team/app:1"), Some(Local::Archive(top.join("team/app:1.tar"), true)));
        assert_eq!(found("team/app:2"), None);
        assert_eq!(found("library/root"), Some(Local::Root(top.join("library/root"))));
        assert_eq!(found("library/root:1"), None, "it has no tag");
        assert_eq!(found("library/app:2"), Some(Local::Root(top.join("library/app:2"))));
        for holder in ["library", "team", "team/x", "nowhere"] {
            assert_eq!(found(holder), None, "{holder}");
        }
        let digest = format!("library/root@sha256:{}", "0".repeat(64));
        assert_eq!(found(&digest), None);
    }
}
