//! One layer: a gzipped tar of files, directories and symbolic links.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::error::{Error, Result};

/// What a path holds. All belong to root.
enum Entry {
    Directory { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: String },
}

/// The files of a layer by path, without the leading slash; sorted, so the bytes are the same
/// in whatever order they were added.
#[derive(Default)]
pub(super) struct Layer {
    entries: BTreeMap<String, Entry>,
    /// What made the layer, for the image's history.
    pub(super) created_by: String,
}

/// A layer's bytes.
pub(super) struct Packed {
    pub(super) gzip: Vec<u8>,
    /// Of the tar: how the configuration refers to it, lower-case hexadecimal.
    pub(super) diff_id: String,
}

impl Layer {
    pub(super) fn new(created_by: impl Into<String>) -> Self {
        Self { entries: BTreeMap::new(), created_by: created_by.into() }
    }

    pub(super) fn directory(&mut self, path: &str, mode: u32) -> &mut Self {
        self.add(path, Entry::Directory { mode })
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> &mut Self {
        self.add(path, Entry::File { mode, content: content.into() })
    }

    pub(super) fn link(&mut self, path: &str, target: impl Into<String>) -> &mut Self {
        self.add(path, Entry::Link { target: target.into() })
    }

    /// Copies `path` of the tree `root` to the same path, with its permissions; what a link
    /// points to stands in its place.
    pub(super) fn copy(&mut self, root: &Path, path: &str) -> Result<&mut Self> {
        let source = inside(root, path);
        let subject = source.display().to_string();
        let content = fs::read(&source).map_err(Error::system("read", &subject))?;
        let metadata = fs::metadata(&source).map_err(Error::system("stat", &subject))?;
        Ok(self.file(path, metadata.permissions().mode() & 0o777, content))
    }

    fn add(&mut self, path: &str, entry: Entry) -> &mut Self {
        let path = path.trim_matches('/');
        let parents = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        for parent in parents {
            self.entries.entry(parent.to_owned()).or_insert(Entry::Directory { mode: 0o755 });
        }
        self.entries.insert(path.to_owned(), entry);
        self
    }

    /// Writes the layer.
    pub(super) fn pack(&self) -> Result<Packed> {
        self.write().map_err(Error::system("write", "a layer"))
    }

    fn write(&self) -> io::Result<Packed> {
        let mut tar = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_ustar();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match entry {
                Entry::Directory { mode } => {
                    header.set_mode(*mode);
                    header.set_entry_type(EntryType::Directory);
                    tar.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                Entry::File { mode, content } => {
                    header.set_mode(*mode);
                    header.set_entry_type(EntryType::Regular);
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, path, content.as_slice())?;
                }
                Entry::Link { target } => {
                    header.set_mode(0o777);
                    header.set_entry_type(EntryType::Symlink);
                    tar.append_link(&mut header, path, target)?;
                }
            }
        }
        let tar = tar.into_inner()?;
        // The builder's default header: no time, no name.
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        gzip.write_all(&tar)?;
        let gzip = gzip.finish()?;
        Ok(Packed { diff_id: sha256(&tar), gzip })
    }
}

/// The file that `path` is in the tree `root`: absolute links lead to the tree's own root.
pub(super) fn inside(root: &Path, path: &str) -> PathBuf {
    let mut file = root.join(path.trim_start_matches('/'));
    while let Ok(target) = fs::read_link(&file) {
        file = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => file.parent().unwrap_or(root).join(target),
        };
    }
    file
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn order_of_adding_does_not_show() {
        let mut one = Layer::new("one");
        one.file("/b/file", 0o644, "content").link("/a", "b/file").directory("/tmp", 0o1777);
        let mut two = Layer::new("two");
        two.directory("/tmp", 0o1777).link("/a", "b/file").file("/b/file", 0o644, "content");
        assert_eq!(one.pack().unwrap().gzip, two.pack().unwrap().gzip);
    }

    #[test]
    fn the_digest_is_of_the_tar_and_parents_are_there() {
        let packed = Layer::new("x").file("/usr/bin/x", 0o755, "#!").pack().unwrap();
        let mut tar = Vec::new();
        GzDecoder::new(packed.gzip.as_slice()).read_to_end(&mut tar).unwrap();
        assert_eq!(packed.diff_id, sha256(&tar));

        let mut archive = tar::Archive::new(tar.as_slice());
        let seen: Vec<(String, u32, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                (path, header.mode().unwrap(), header.mtime().unwrap())
            })
            .collect();
        let expected = [("usr/", 0o755, 0), ("usr/bin/", 0o755, 0), ("usr/bin/x", 0o755, 0)];
        assert_eq!(seen, expected.map(|(path, mode, time)| (path.to_owned(), mode, time)));
    }

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
