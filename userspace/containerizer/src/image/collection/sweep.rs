//! Removing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::Collected;
use super::choice::Policy;
use super::inventory::{Inventory, Kept, is_draft, names};
use crate::Error;
use crate::error::At as _;
use crate::image::uses::Item;
use crate::removal::remove_tree;

/// What is kept beside a layer.
const BESIDE: [&str; 3] = ["unsynced", "implied", "sizes"];

/// Puts into the trash the `chosen` images, and what no image needs and nobody uses. If only
/// one was asked for, of the rest only what was that one's.
pub(super) fn sweep(
    directory: &Path,
    inventory: &Inventory,
    chosen: &[&Kept],
    policy: &Policy,
) -> Result<Collected, Error> {
    let mut trash = Trash { directory, count: 0, collected: Collected::default() };
    // Without them nothing is taken for an image any more.
    for item in chosen.iter().flat_map(|image| &image.record_items) {
        trash.take(item, inventory)?;
    }
    trash.collected.images =
        chosen.iter().filter(|image| !image.is_rest()).map(|image| image.name.clone()).collect();
    let gone = |image: &Kept| chosen.iter().any(|chosen| std::ptr::eq(*chosen, image));
    let mut needed = inventory.pinned.clone();
    for image in inventory.images.iter().filter(|image| !gone(image)) {
        needed.extend(image.items.iter().chain(&image.record_items).cloned());
    }
    let own: BTreeSet<&Item> = chosen.iter().flat_map(|image| &image.items).collect();
    for item in inventory.present.keys().filter(|item| !needed.contains(item)) {
        let wanted = match policy {
            Policy::One(_) => own.contains(item),
            // Somebody may be about to finish a draft, without a name to ask for.
            Policy::All | Policy::Room(_) => !(inventory.busy && is_draft(&item.path(directory))),
        };
        if wanted {
            trash.take(item, inventory)?;
        }
    }
    if !matches!(policy, Policy::One(_)) {
        trash.leftovers(inventory)?;
    }
    Ok(trash.collected)
}

/// Where things go in one step.
struct Trash<'a> {
    directory: &'a Path,
    count: u64,
    collected: Collected,
}

impl Trash<'_> {
    fn take(&mut self, item: &Item, inventory: &Inventory) -> Result<(), Error> {
        if self.discard(&item.path(self.directory))? {
            self.collected.bytes += inventory.present.get(item).copied().unwrap_or_default();
        }
        if let Some(layer) = item.as_layer() {
            self.discard_notes(layer)?;
        }
        Ok(())
    }

    /// What is said of a layer that is not there.
    fn discard_notes(&mut self, layer: &str) -> Result<(), Error> {
        for name in BESIDE {
            self.discard(&self.directory.join(".layers").join(name).join(layer))?;
        }
        Ok(())
    }

    /// `false` if there is nothing.
    fn discard(&mut self, path: &Path) -> Result<bool, Error> {
        let target = self.directory.join(".uses/trash").join(self.count.to_string());
        match fs::rename(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            renamed => {
                renamed.at("rename", path)?;
                self.count += 1;
                Ok(true)
            }
        }
    }

    /// What was in the making, or said of a layer, when somebody was killed.
    fn leftovers(&mut self, inventory: &Inventory) -> Result<(), Error> {
        let layers = self.directory.join(".layers");
        for kind in BESIDE {
            for name in names(&layers.join(kind))? {
                let hex = name.strip_suffix(".new").unwrap_or(&name);
                let item = Item::layer(hex);
                let there = hex == name && inventory.present.contains_key(&item);
                if !there && !inventory.pinned.contains(&item) {
                    self.discard(&layers.join(kind).join(&name))?;
                }
            }
        }
        let staging = layers.join("staging");
        for name in names(&staging)? {
            let made = name.strip_suffix(".lock").unwrap_or(&name);
            let item = match made.split_once('-') {
                Some((kind, name)) => Item::derived(kind, name),
                None if made.len() == 64 => Item::layer(made),
                None => continue,
            };
            if !inventory.pinned.contains(&item) {
                self.discard(&staging.join(&name))?;
            }
        }
        if !inventory.busy {
            let locks = self.directory.join(".registry/locks");
            for name in names(&locks)? {
                self.discard(&locks.join(name))?;
            }
        }
        Ok(())
    }
}

/// Removes what is in the trash. Only one does so at a time.
pub(super) fn empty(uses: &Path) -> Result<(), Error> {
    let trash = uses.join("trash");
    let found = names(&trash)?;
    if found.is_empty() {
        return Ok(());
    }
    // What was moved here is to be nowhere else after a loss of power, when less of it is left.
    File::open(&trash).and_then(|directory| directory.sync_all()).at("fsync", &trash)?;
    for path in found.iter().map(|name| trash.join(name)) {
        let is_directory = fs::symlink_metadata(&path).at("stat", &path)?.is_dir();
        let removed = if is_directory { remove_tree(&path) } else { fs::remove_file(&path) };
        removed.at("remove", &path)?;
    }
    Ok(())
}
