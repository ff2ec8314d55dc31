//! What is in the store, and who uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci_spec::image::Descriptor;

use super::containers::{self, Using};
use crate::Error;
use crate::error::At as _;
use crate::image::digest::Digest;
use crate::image::saved;
use crate::image::uses::{Item, Used};
use crate::image::{Store, layout};

/// Everything in the store.
pub(super) struct Inventory {
    /// Images; and what is left of downloads, each as one of its own.
    pub(super) images: Vec<Kept>,
    /// What nobody may remove.
    pub(super) pinned: BTreeSet<Item>,
    /// What there is, with its size in bytes.
    pub(super) present: BTreeMap<Item, u64>,
    /// Whether anybody is about to use anything.
    pub(super) busy: bool,
}

/// An image, and all that there is for it.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its name; nothing for the rest of a download.
    pub(super) name: String,
    pub(super) digest: Option<String>,
    /// Where on the shelf its record is.
    pub(super) record: Option<PathBuf>,
    /// What says that it is there: removed first.
    pub(super) record_items: Vec<Item>,
    /// All else that it needs.
    pub(super) items: BTreeSet<Item>,
    /// Its layers, the uppermost first, if it has been unpacked.
    pub(super) layers: Vec<Item>,
    pub(super) last_used: SystemTime,
    pub(super) used_by: BTreeSet<String>,
    /// Whether somebody is about to use it.
    pub(super) leased: bool,
}

impl Kept {
    fn new(name: String, last_used: SystemTime) -> Self {
        Self {
            name,
            digest: None,
            record: None,
            record_items: Vec::new(),
            items: BTreeSet::new(),
            layers: Vec::new(),
            last_used,
            used_by: BTreeSet::new(),
            leased: false,
        }
    }

    /// Whether it is but the rest of a download.
    pub(super) fn is_rest(&self) -> bool {
        self.name.is_empty()
    }

    fn add(&mut self, used: Used, time: SystemTime) {
        self.record_items.push(used.item());
        self.name.clone_from(&used.image);
        self.digest.get_or_insert(used.digest);
        self.items.extend(used.layers.iter().cloned().chain(used.upon));
        self.layers = used.layers;
        self.last_used = self.last_used.max(time);
    }
}

impl Inventory {
    /// Reads all of it. The gate is held.
    pub(super) fn read(store: &Store) -> Result<Self, Error> {
        // First: who lets go of something has it in a checkpoint by then.
        let leased = store.uses.leased()?;
        let mut using: Vec<Using> = Vec::new();
        for runtime_dir in store.uses.agents()? {
            using.extend(containers::of(&runtime_dir)?);
        }
        let present = present(&store.directory)?;
        let mut images = recorded(store, &present)?;
        for (used, time) in store.uses.used()? {
            let same = |image: &&mut Kept| used.record.is_some() && image.record == used.record;
            let known = images.iter_mut().find(same);
            match known {
                Some(image) => image.add(used, time),
                // Its record is gone: what is left of it needs no name.
                None if used.record.is_some() => {}
                None => {
                    let mut image = Kept::new(used.image.clone(), time);
                    image.add(used, time);
                    images.push(image);
                }
            }
        }
        for image in &mut images {
            let own = using.iter().filter(|using| using.stacks.contains(&image.layers));
            image.used_by = own.map(|using| using.name.clone()).collect();
            image.leased = image.record_items.iter().any(|item| leased.contains(item));
        }
        let busy = !leased.is_empty();
        images.extend(rests(&store.directory, &present, &leased)?);
        let mut pinned = leased;
        pinned.extend(using.into_iter().flat_map(|using| using.items));
        Ok(Self { images, pinned, present, busy })
    }
}

/// Images with records on the shelf.
fn recorded(store: &Store, present: &BTreeMap<Item, u64>) -> Result<Vec<Kept>, Error> {
    let mut images = Vec::new();
    let top = store.shelf.images();
    for path in present.keys().map(|item| item.path(&store.directory)) {
        let Ok(record) = path.strip_prefix(&top) else { continue };
        if is_draft(record) {
            continue;
        }
        // What is no record is nobody's.
        let Some(known) = store.shelf.known(record).at("read", &path)? else { continue };
        let time = fs::metadata(&path).and_then(|found| found.modified()).at("stat", &path)?;
        let mut image = Kept::new(name_of(record, &known), time);
        image.record = Some(record.to_owned());
        image.record_items.push(Item::record(record));
        image.digest = Some(known.digest().to_string());
        let mut items = BTreeSet::new();
        let mut add = |descriptor: &Descriptor| {
            items.extend(digest_of(descriptor).map(|digest| Item::blob(&digest)));
            Ok(())
        };
        // One of which something is missing has no more than is found.
        if let Ok(found) = layout::follow(store.shelf.layout(), &image.name, &[known], &mut add) {
            // As they are stacked.
            for digest in found.layers.iter().rev().filter_map(digest_of) {
                items.insert(Item::blob(&digest));
                let layer = Item::layer(digest.hex());
                if items.insert(layer.clone()) {
                    image.layers.push(layer);
                }
            }
        }
        image.items = items;
        images.push(image);
    }
    Ok(images)
}

fn digest_of(descriptor: &Descriptor) -> Option<Digest> {
    Digest::parse(descriptor.digest().as_ref())
}

/// What nobody has used yet is called as it is called in its registry.
fn name_of(record: &Path, known: &Descriptor) -> String {
    if let Some(name) = known.annotations().as_ref().and_then(|notes| notes.get(saved::NAME)) {
        return name.clone();
    }
    let text = record.to_string_lossy();
    if let Some((name, digest)) = text.split_once("/_digests/") {
        return format!("{name}@sha256:{digest}");
    }
    text.strip_suffix(".json").unwrap_or(&text).replacen("/_tags/", ":", 1)
}

/// Whether it is a file that was not written to its end.
pub(super) fn is_draft(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extension.starts_with("new"))
}

/// What is left of downloads.
fn rests(
    directory: &Path,
    present: &BTreeMap<Item, u64>,
    leased: &BTreeSet<Item>,
) -> Result<Vec<Kept>, Error> {
    let top = Item::partial("").path(directory);
    let mut rests = Vec::new();
    for item in present.keys() {
        let path = item.path(directory);
        if !path.starts_with(&top) {
            continue;
        }
        // Finished meanwhile.
        let Ok(found) = fs::metadata(&path) else { continue };
        let mut rest = Kept::new(String::new(), found.modified().at("stat", &path)?);
        rest.record_items.push(item.clone());
        let digest = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let blob = Digest::parse(&format!("sha256:{digest}"));
        rest.leased = blob.is_some_and(|blob| leased.contains(&Item::blob(&blob)));
        rests.push(rest);
    }
    Ok(rests)
}

/// All that there is.
fn present(directory: &Path) -> Result<BTreeMap<Item, u64>, Error> {
    let mut present = BTreeMap::new();
    for kind in ["sha256", "joined", "places"] {
        for name in names(&directory.join(".layers").join(kind))? {
            let size = if kind == "sha256" { unpacked(directory, &name) } else { 0 };
            present.insert(Item::derived(kind, &name), size);
        }
    }
    for below in [".registry/blobs/sha256", ".registry/partial", ".registry/images", ".uses/images"]
    {
        files(directory, below, &mut present)?;
    }
    Ok(present)
}

/// Bytes of a layer's archive, which is about what it takes.
fn unpacked(directory: &Path, layer: &str) -> u64 {
    let text = fs::read_to_string(directory.join(".layers/sizes").join(layer)).unwrap_or_default();
    text.split_once(' ').and_then(|(bytes, _)| bytes.parse().ok()).unwrap_or_default()
}

/// The files below the directory `below`.
fn files(directory: &Path, below: &str, found: &mut BTreeMap<Item, u64>) -> Result<(), Error> {
    for name in names(&directory.join(below))? {
        let below = format!("{below}/{name}");
        let path = directory.join(&below);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("stat", &path),
            Ok(file) if file.is_dir() => files(directory, &below, found)?,
            Ok(file) => {
                found.insert(Item::read(&below), file.len());
            }
        }
    }
    Ok(())
}

/// The names in a directory, which need not be there.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // Others than ours are not ours to remove.
        names.extend(entry.at("read", directory)?.file_name().into_string().ok());
    }
    Ok(names)
}
