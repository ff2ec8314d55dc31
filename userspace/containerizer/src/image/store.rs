//! The image store: layouts and archives in, stacks of extracted layers out.

mod ahead;
mod joined;
mod layers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_spec::image::ImageConfiguration;

use super::backend::{Backend, Backends, Chosen};
use super::layout;
use super::limits::Budget;
use super::local::{self, Local};
use super::places::places;
use super::progress::{Pulling, Pulls};
use super::reference::Reference;
use super::registry::{Pull, Registries, Shelf, pull, record_of};
use super::root::Roots;
use super::saved::Saved;
use super::uses::{Item, Lease, Used, Uses};
use super::{ImageError, ImageLimits};
use crate::pid::boot_id;
use crate::{Error, Secret};
use joined::joined;
use layers::{Blobs, Layers};

/// The most layers that overlayfs stacks, but for the two that are ours.
pub(super) const LAYERS_MAX: usize = 498;

/// A directory of image layouts, and what is pulled into it.
pub(crate) struct Store {
    pub(super) directory: PathBuf,
    pub(super) registries: Registries,
    limits: ImageLimits,
    pub(super) shelf: Shelf,
    layers: Layers,
    pub(super) uses: Arc<Uses>,
    pulls: Pulls,
    chosen: Chosen,
    roots: Roots,
}

/// An image that is ready to be mounted.
pub(crate) struct Image {
    /// Its config.
    pub(crate) config: ImageConfiguration,
    /// Directories of its layers, the uppermost first as overlayfs wants them.
    pub(crate) layers: Vec<PathBuf>,
    /// The directory of a layer upon those, with places for what every container has mounted
    /// into it; `None` if containers have to make them.
    pub(crate) places: Option<PathBuf>,
    /// How they become one.
    pub(crate) backend: Backend,
}

impl Store {
    /// The store in `directory`, for the agent with this `runtime_dir`; what it does not have is pulled from `registries`. Images
    /// that exceed `limits` are refused.
    ///
    /// # Errors
    /// The `backend` that is wanted is none that this machine can; the directory cannot be used.
    pub(crate) fn new(
        directory: PathBuf,
        runtime_dir: &Path,
        registries: Registries,
        limits: ImageLimits,
        backends: Backends,
    ) -> Result<Self, Error> {
        let chosen = Chosen::new(backends, &directory)?;
        let shelf = Shelf::new(directory.join(".registry"));
        let uses = Uses::open(&directory, runtime_dir)?;
        let layers = Layers::new(directory.join(".layers"), Arc::clone(&uses), boot_id()?);
        let pulls = Pulls::default();
        Ok(Self {
            directory,
            registries,
            limits,
            shelf,
            layers,
            uses,
            pulls,
            chosen,
            roots: Roots::default(),
        })
    }

    /// What keeps images for those who are about to use them.
    pub(crate) fn lease(&self) -> Lease {
        self.uses.lease()
    }

    /// How far the pull of an image is, if it is being pulled.
    pub(crate) fn pulling(&self, image: &str) -> Option<Pulling> {
        let reference = Reference::parse(image).ok()?;
        self.pulls.of(&record_of(&reference, &self.registries)?)
    }

    /// All images that are being pulled.
    pub(crate) fn all_pulling(&self) -> Vec<Pulling> {
        self.pulls.all()
    }

    /// Finds an image, pulls it unless it is on this machine or was pulled before
    /// and `force` is not set, and extracts the layers that are not there yet. Nothing of it is
    /// removed before `lease` is gone. Blocks: for as long as that takes, or as another process
    /// that does the same takes.
    pub(crate) fn provision(
        &self,
        reference: &str,
        secret: Option<&Secret>,
        force: bool,
        lease: &Lease,
    ) -> Result<Image, ImageError> {
        let reference = Reference::parse(reference)?;
        let own = self.directory.join(&reference.name);
        let found = local::find(&self.directory, &reference);
        // As in Mesos: a registry that is a directory has archives.
        let directory = self.registries.directory();
        let found = found.or_else(|| local::archive(directory?, &reference));
        let pulled = match &found {
            Some(Local::Root(root)) => return self.root(&reference, root),
            Some(Local::Archive(path, tagged)) => {
                let saved = Saved { path, reference: &reference, tagged: *tagged };
                Some(saved.load(&self.shelf, lease, self.limits)?)
            }
            Some(Local::Layout(_)) => None,
            None => {
                let (reference, limits, pulls) = (&reference, self.limits, &self.pulls);
                let wanted = Pull { reference, secret, force, limits, lease, pulls };
                pull(wanted, &self.registries, &self.shelf)?
            }
        };
        let (layout, resolved) = match pulled {
            Some(resolved) => (self.shelf.layout(), resolved),
            None => (own.as_path(), layout::resolve(&own, &reference)?),
        };
        let image = reference.to_string();
        if resolved.layers.is_empty() {
            let reason = "the manifest lists no layers".to_owned();
            return Err(ImageError::Document { image, document: "manifest".into(), reason });
        }
        self.limits
            .manifest(resolved.layers.iter().map(oci_spec::image::Descriptor::size))
            .map_err(|exceeded| ImageError::Limit { image: image.clone(), exceeded })?;
        let budget = Budget::new(self.limits);
        let blobs = Blobs { image: &image, layout, budget: &budget, lease };
        let mut layers = self.layers.extracted(blobs, &resolved.layers)?;
        let backend = self.chosen.of(&reference, layers.len())?;
        let item = |path: &PathBuf| path.to_str().and_then(Item::containing);
        let mut used = Used {
            image: image.clone(),
            record: resolved.record,
            digest: resolved.digest,
            layers: layers.iter().filter_map(item).collect(),
            upon: Vec::new(),
        };
        let mut above = None;
        if backend != Backend::Bind {
            let top = joined(&self.layers, &layers, lease)
                .map_err(|source| ImageError::Joined { image: image.clone(), source })?;
            used.upon.extend(top.iter().filter_map(item));
            layers.splice(..0, top);
            let places = places(self.layers.directory(), &layers, lease)
                .map_err(|source| ImageError::Places { image: image.clone(), source })?;
            used.upon.extend(item(&places));
            above = Some(places);
        }
        lease.keep_for(&image, [used.item()])?;
        self.uses.note(&used).map_err(|source| {
            let path = self.uses.directory().to_owned();
            ImageError::Io { image, operation: "note a use in", path, source }
        })?;
        Ok(Image { config: resolved.config, layers, places: above, backend })
    }

    /// A root filesystem that is somebody else's to change: nothing is kept that is made of it.
    fn root(&self, reference: &Reference, root: &Path) -> Result<Image, ImageError> {
        let image = reference.to_string();
        let backend = self.chosen.of(reference, 1)?;
        let failed = |operation| {
            let (image, path) = (image.clone(), root.to_owned());
            move |source| ImageError::Io { image, operation, path, source }
        };
        let layer = root.canonicalize().map_err(failed("open"))?;
        let measured = self.roots.check(&layer, self.limits, backend == Backend::Copy);
        measured.map_err(|error| match error.downcast() {
            Ok(exceeded) => ImageError::Limit { image: image.clone(), exceeded },
            Err(error) => failed("measure")(error),
        })?;
        let config = ImageConfiguration::default();
        Ok(Image { config, layers: vec![layer], places: None, backend })
    }
}
