//! The image store, for those who look after it.

use super::Containerizer;
use crate::{Collected, Error, Pulling, StoredImage};

impl Containerizer {
    /// The images that the store has pulled or unpacked, by their names. Blocks.
    ///
    /// # Errors
    /// The store, or a checkpoint of a container, cannot be read.
    pub fn images(&self) -> Result<Vec<StoredImage>, Error> {
        self.inner.images.list()
    }

    /// Makes an image ready for containers: pulls it unless it is there and `force` is not set,
    /// and unpacks it. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Why a container of it could not be launched; [`crate::ImageError::Root`].
    pub fn pull_image(&self, name: &str, force: bool) -> Result<StoredImage, Error> {
        self.inner.images.pull(name, force)
    }

    /// How far the pull of an image is, if this containerizer is pulling it.
    pub fn pulling(&self, image: &str) -> Option<Pulling> {
        self.inner.images.pulling(image)
    }

    /// All images that this containerizer is pulling.
    pub fn all_pulling(&self) -> Vec<Pulling> {
        self.inner.images.all_pulling()
    }

    /// Removes all images of the store that no container uses, but for those `excluded`, by
    /// their names. What a user put into `image_dir` stays, but not what was made of it. Blocks.
    ///
    /// # Errors
    /// As for [`Self::images`]; or something cannot be removed: then some of it may be gone.
    pub fn prune_images(&self, excluded: &[String]) -> Result<Collected, Error> {
        self.inner.images.prune(excluded)
    }

    /// Removes one image of the store. Blocks.
    ///
    /// # Errors
    /// [`crate::ImageError::Unknown`], [`crate::ImageError::InUse`]; and as for [`Self::prune_images`].
    pub fn remove_image(&self, name: &str) -> Result<Collected, Error> {
        self.inner.images.remove(name)
    }

    /// Removes the least recently used images that no container uses, but for those `excluded`,
    /// until a share `headroom` (0 to 1) of the store's file system is free. Blocks.
    ///
    /// # Errors
    /// As for [`Self::prune_images`].
    pub fn make_room(&self, headroom: f64, excluded: &[String]) -> Result<Collected, Error> {
        self.inner.images.make_room(headroom, excluded)
    }
}
