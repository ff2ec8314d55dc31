//! Garbage collection: what nobody uses, the least recently used first.
//!
//! What is used is not counted but looked up, in the checkpoints of all agents that share the
//! store and in the leases of their launches: a count would be wrong after a crash. While it is
//! decided what goes, nobody takes anything to be there ([`super::uses`]). Each thing goes by
//! one rename to the trash, an image's record before all else: a collector that is killed
//! leaves images that are whole, or known not to be.

mod choice;
mod containers;
mod inventory;
mod sweep;

use std::collections::BTreeSet;
use std::time::SystemTime;

use rustix::fs::statvfs;

use super::reference::Reference;
use super::registry::record_of;
use super::{ImageError, Store};
use crate::Error;
use crate::error::At as _;
use choice::Policy;
use inventory::{Inventory, Kept};

/// An image that the store has pulled, or unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Its name with tag or digest.
    pub name: String,
    /// The digest of its manifest or index, `sha256:<hex>`; `None` if that cannot be read.
    pub digest: Option<String>,
    /// Bytes of its layers, packed and unpacked; layers of several images count in each.
    pub bytes: u64,
    /// When a container or volume was last made of it, or it was pulled.
    pub last_used: SystemTime,
    /// The names of containers that use it, of all agents that share the store.
    pub used_by: Vec<String>,
}

/// What a collection has removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Names of images.
    pub images: Vec<String>,
    /// Bytes of files and unpacked layers, those of no image included.
    pub bytes: u64,
}

impl Store {
    /// The images that the store has pulled, or unpacked, by their names.
    pub(crate) fn list(&self) -> Result<Vec<StoredImage>, Error> {
        let inventory = {
            let _gate = self.uses.hold()?;
            Inventory::read(self)?
        };
        let shown = |image: &Kept| StoredImage {
            name: image.name.clone(),
            digest: image.digest.clone(),
            bytes: image.items.iter().filter_map(|item| inventory.present.get(item)).sum(),
            last_used: image.last_used,
            used_by: image.used_by.iter().cloned().collect(),
        };
        let named = inventory.images.iter().filter(|image| !image.is_rest());
        let mut images: Vec<_> = named.map(shown).collect();
        images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(images)
    }

    /// Makes an image ready for containers, as they do themselves.
    pub(crate) fn pull(&self, name: &str, force: bool) -> Result<StoredImage, Error> {
        let lease = self.lease();
        self.provision(name, None, force, &lease)?;
        let wanted = [Reference::parse(name)?];
        let (images, root) = (self.list()?, ImageError::Root { image: wanted[0].to_string() });
        let found = images.into_iter().find(|image| image.name == wanted[0].to_string());
        // A root filesystem is used as it is.
        found.ok_or(root.into())
    }

    /// Removes all images that are not in use, but for those `excluded`.
    pub(crate) fn prune(&self, excluded: &[String]) -> Result<Collected, Error> {
        let excluded = references(excluded)?;
        self.collect(|image| !self.is_any(image, &excluded), &Policy::All)
    }

    /// Removes one image.
    ///
    /// # Errors
    /// [`ImageError::Unknown`] and [`ImageError::InUse`].
    pub(crate) fn remove(&self, name: &str) -> Result<Collected, Error> {
        let wanted = [Reference::parse(name)?];
        self.collect(|image| self.is_any(image, &wanted), &Policy::One(name.to_owned()))
    }

    /// Removes the least recently used images, but for those `excluded`, until the share
    /// `headroom` of the file system is free, from 0 to 1; nothing if it is.
    pub(crate) fn make_room(&self, headroom: f64, excluded: &[String]) -> Result<Collected, Error> {
        let excluded = references(excluded)?;
        let mut all = Collected::default();
        loop {
            let lacking = self.lacking(headroom)?;
            if lacking == 0 {
                return Ok(all);
            }
            let may = |image: &Kept| !self.is_any(image, &excluded);
            let collected = self.collect(may, &Policy::Room(lacking))?;
            if collected == Collected::default() {
                tracing::warn!(lacking, "image store: everything else is in use or excluded");
                return Ok(all);
            }
            all.images.extend(collected.images);
            all.bytes += collected.bytes;
        }
    }

    /// The bytes that are lacking until the share `headroom` of the file system is free.
    fn lacking(&self, headroom: f64) -> Result<u64, Error> {
        let found = statvfs(&self.directory).at("statvfs", &self.directory)?;
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        // As df has it: without what is kept for root.
        let total = used + found.f_bavail;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a number of blocks"
        )]
        let wanted = (total as f64 * headroom).ceil() as u64;
        Ok(wanted.saturating_sub(found.f_bavail).saturating_mul(found.f_frsize))
    }

    /// Removes what the policy wants of images that `may` go, and what belongs to none.
    fn collect(&self, may: impl Fn(&Kept) -> bool, policy: &Policy) -> Result<Collected, Error> {
        let _collecting = self.uses.collecting()?;
        // Of one that was killed.
        sweep::empty(self.uses.directory())?;
        let collected = {
            let _gate = self.uses.close()?;
            let inventory = Inventory::read(self)?;
            for image in inventory.images.iter().filter(|image| !image.used_by.is_empty()) {
                self.uses.touch(&image.record_items)?;
            }
            let chosen = choice::choose(&inventory, may, policy)?;
            sweep::sweep(&self.directory, &inventory, &chosen, policy)?
        };
        sweep::empty(self.uses.directory())?;
        for image in &collected.images {
            tracing::info!(image, "removed from the image store");
        }
        Ok(collected)
    }

    /// Whether it is one of these, by whichever of its names.
    fn is_any(&self, image: &Kept, wanted: &[Reference]) -> bool {
        wanted.iter().any(|reference| {
            image.name == reference.to_string()
                || image.record.is_some() && image.record == record_of(reference, &self.registries)
        })
    }
}

fn references(names: &[String]) -> Result<Vec<Reference>, ImageError> {
    names.iter().map(|name| Reference::parse(name)).collect()
}

/// The names of those that keep something from being removed.
fn listed(names: &BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}
