//! What is about to be used, and is not in any container's checkpoint yet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::Arc;

use oci_spec::image::Descriptor;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Item, Uses};
use crate::Error;
use crate::error::At as _;
use crate::image::ImageError;
use crate::image::blob::Blob;

/// Keeps what it was told from being removed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    uses: Arc<Uses>,
    number: u64,
}

/// What this process needs. The file has it too, for other processes: lines of a sign, the
/// number of a lease and what is needed, the last emptying it when nothing is needed.
#[derive(Debug)]
pub(super) struct Needs {
    file: File,
    next: u64,
    held: BTreeMap<u64, BTreeSet<Item>>,
}

impl Needs {
    /// None yet; `file` is empty and written to at its end.
    pub(super) fn new(file: File) -> Self {
        Self { file, next: 0, held: BTreeMap::new() }
    }
}

impl Lease {
    pub(super) fn new(uses: Arc<Uses>) -> Self {
        let number = {
            let mut needs = uses.needs();
            needs.next += 1;
            needs.next
        };
        Self { uses, number }
    }

    /// Keeps these from now on: whether they are there is to be asked afterwards.
    pub(crate) fn keep(&self, items: impl IntoIterator<Item = Item>) -> io::Result<()> {
        let mut items: BTreeSet<Item> = items.into_iter().collect();
        if let Some(held) = self.uses.needs().held.get(&self.number) {
            items.retain(|item| !held.contains(item));
        }
        if items.is_empty() {
            return Ok(());
        }
        let _gate = self.uses.hold().map_err(io::Error::other)?;
        let mut needs = self.uses.needs();
        let mut text = Vec::new();
        for item in &items {
            writeln!(text, "+{} {item}", self.number)?;
        }
        needs.file.write_all(&text)?;
        needs.held.entry(self.number).or_default().extend(items);
        Ok(())
    }

    /// The same for blobs of an image.
    pub(crate) fn keep_blobs<'d>(
        &self,
        image: &str,
        descriptors: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Result<(), ImageError> {
        let blobs = descriptors.into_iter().map(|descriptor| Blob::new(image, descriptor));
        let blobs = blobs.map(|blob| Ok(Item::blob(blob?.digest())));
        self.keep_for(image, blobs.collect::<Result<Vec<_>, ImageError>>()?)
    }

    /// The same for anything of an image.
    pub(crate) fn keep_for(
        &self,
        image: &str,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<(), ImageError> {
        self.keep(items).map_err(|source| ImageError::Io {
            image: image.to_owned(),
            operation: "lease",
            path: self.uses.directory().to_owned(),
            source,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut needs = self.uses.needs();
        if needs.held.remove(&self.number).is_none() {
            return;
        }
        let written = if needs.held.is_empty() {
            needs.file.set_len(0)
        } else {
            writeln!(needs.file, "-{}", self.number)
        };
        if let Err(error) = written {
            // Kept for longer than needed: until nothing else is.
            tracing::warn!(%error, "cannot say that an image is not needed any more");
        }
    }
}

impl Uses {
    /// What processes that live are about to use. Nobody says more while the gate is closed.
    pub(in crate::image) fn leased(&self) -> Result<BTreeSet<Item>, Error> {
        let directory = self.directory.join("leases");
        let mut leased = BTreeSet::new();
        for entry in fs::read_dir(&directory).at("read", &directory)? {
            let path = entry.at("read", &directory)?.path();
            let file = File::open(&path).at("open", &path)?;
            match flock(&file, FlockOperation::NonBlockingLockShared) {
                // Its process is dead, and so is what it wanted.
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let text = fs::read_to_string(&path).at("read", &path)?;
                    leased.extend(parse(&text));
                }
                Err(error) => return Err(error).at("flock", &path),
            }
        }
        Ok(leased)
    }
}

fn parse(text: &str) -> BTreeSet<Item> {
    let mut held: BTreeMap<&str, BTreeSet<Item>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((number, item)) =
            line.strip_prefix('+').and_then(|needed| needed.split_once(' '))
        {
            held.entry(number).or_default().insert(Item::read(item));
        } else if let Some(number) = line.strip_prefix('-') {
            held.remove(number);
        }
    }
    held.into_values().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_leased_is_seen_until_it_is_not_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let runtime_dir = directory.path().join(name);
            fs::create_dir_all(&runtime_dir).unwrap();
            Uses::open(directory.path(), &runtime_dir).unwrap()
        };
        let (one, other) = (open("a"), open("b"));
        let (first, second) = (one.lease(), one.lease());
        first.keep([Item::layer("1"), Item::layer("2")]).unwrap();
        second.keep([Item::layer("2")]).unwrap();
        let third = other.lease();
        third.keep([Item::layer("3")]).unwrap();
        let seen = || other.leased().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        let layer = |name: &str| Item::layer(name).to_string();
        assert_eq!(seen(), [layer("1"), layer("2"), layer("3")]);
        drop(first);
        assert_eq!(seen(), [layer("2"), layer("3")]);
        drop(second);
        assert_eq!(seen(), [layer("3")]);
        let fourth = one.lease();
        fourth.keep([Item::layer("4")]).unwrap();
        // As if its process had died: nobody holds the lock.
        let path = directory.path().join(".uses/leases");
        let before = fs::read_dir(&path).unwrap().count();
        std::mem::forget(fourth);
        let name = super::super::Digest::of(
            directory.path().join("a").canonicalize().unwrap().as_os_str().as_encoded_bytes(),
        );
        fs::copy(path.join(name.hex()), path.join("dead")).unwrap();
        fs::remove_file(path.join(name.hex())).unwrap();
        assert_eq!((seen(), before), (vec![layer("3")], 2));
        assert_eq!(other.agents().unwrap().len(), 2);
        fs::remove_dir(directory.path().join("a")).unwrap();
        assert_eq!(other.agents().unwrap(), [directory.path().join("b").canonicalize().unwrap()]);
    }

    #[test]
    fn two_agents_do_not_pass_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let one = Uses::open(directory.path(), directory.path()).unwrap();
        let error = Uses::open(directory.path(), directory.path()).unwrap_err().to_string();
        assert!(error.contains("--runtime-dir has the same path"), "{error}");
        drop(one);
        Uses::open(directory.path(), directory.path()).unwrap();
    }
}
