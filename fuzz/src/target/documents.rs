//! Files of an image as text: a line for each, its path, a space, and what is in it.
//!
//! `@PATH@` stands for the digits of the digest of an earlier file, `#PATH#` for its size,
//! `%tar%` as the whole content for a small layer: so a change of one file does not end at
//! its digest. A path with an asterisk at its end is put in by its digest.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use muster_containerizer::trial;
use tar::{Builder, EntryType, Header};

/// A file's path, and what is in it.
pub(crate) type Documents = Vec<(String, Vec<u8>)>;

/// The most files.
const MOST: usize = 16;

/// The files that `input` has.
pub(crate) fn read(input: &[u8]) -> Documents {
    let mut known: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut documents = Vec::new();
    for line in String::from_utf8_lossy(input).lines().take(MOST) {
        let Some((path, content)) = line.split_once(' ') else { continue };
        let mut content = content.to_owned();
        for (name, (digits, size)) in &known {
            content = content.replace(&format!("@{name}@"), digits);
            content = content.replace(&format!("#{name}#"), &size.to_string());
        }
        let bytes = if content == "%tar%" { small() } else { content.into_bytes() };
        let digits = trial::digest(&bytes).trim_start_matches("sha256:").to_owned();
        let path = match path.strip_suffix('*') {
            Some(directory) => format!("{directory}{digits}"),
            None => path.to_owned(),
        };
        let name = line.split(' ').next().unwrap_or_default().to_owned();
        known.insert(name, (digits, bytes.len()));
        documents.push((path, bytes));
    }
    documents
}

/// Whether a path can be made of names below a directory.
pub(crate) fn is_plain(path: &str) -> bool {
    let names = Path::new(path).components();
    let mut names = names.map(|name| matches!(name, Component::Normal(_))).peekable();
    names.peek().is_some() && names.all(|is_name| is_name) && !path.contains('\0')
}

/// Packs files as they are.
pub(crate) fn packed(documents: &Documents) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, content) in documents {
        let mut header = header(content.len());
        // Paths that this writer refuses are for the target `layer`.
        let _left_out = builder.append_data(&mut header, path, content.as_slice());
    }
    builder.into_inner().unwrap_or_default()
}

/// A layer of one file.
fn small() -> Vec<u8> {
    packed(&vec![("etc/file".to_owned(), b"content".to_vec())])
}

fn header(size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}
