//! The image store: layouts in, stacks of extracted layers out.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use oci_spec::image::{Descriptor, ImageConfiguration, MediaType};
use rustix::fs::{FlockOperation, flock, syncfs};
use ruzstd::decoding::StreamingDecoder;

use super::ImageError;
use super::blob::Blob;
use super::extract::extract;
use super::layout;
use super::places::places;
use super::reference::Reference;
use super::registry::{Pull, Registries, Shelf, pull};
use crate::Secret;

/// How much of a blob is read at a time.
const BUFFER: usize = 256 << 10;

/// A directory of image layouts, and what is pulled into it.
pub(crate) struct Store {
    directory: PathBuf,
    registries: Registries,
    shelf: Shelf,
}

/// An image that is ready to be mounted.
pub(crate) struct Image {
    /// Its config.
    pub(crate) config: ImageConfiguration,
    /// Directories of its layers, the uppermost first as overlayfs wants them.
    pub(crate) layers: Vec<PathBuf>,
    /// The directory of a layer upon those, with places for what every container has mounted
    /// into it.
    pub(crate) places: PathBuf,
}

/// How a layer is packed.
#[derive(Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Store {
    /// The store in `directory`; what it does not have is pulled from `registries`.
    pub(crate) fn new(directory: PathBuf, registries: Registries) -> Self {
        let shelf = Shelf::new(directory.join(".registry"));
        Self { directory, registries, shelf }
    }

    /// Finds an image, pulls it unless there is a layout of its name or it was pulled before
    /// and `force` is not set, and extracts the layers that are not there yet. Blocks: for as
    /// long as that takes, or as another process that does the same takes.
    pub(crate) fn provision(
        &self,
        reference: &str,
        secret: Option<&Secret>,
        force: bool,
    ) -> Result<Image, ImageError> {
        let reference = Reference::parse(reference)?;
        let own = self.directory.join(&reference.name);
        let pulled = if own.join("oci-layout").exists() {
            None
        } else {
            let reference = &reference;
            pull(Pull { reference, secret, force }, &self.registries, &self.shelf)?
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
        let mut layers = Vec::with_capacity(resolved.layers.len());
        for descriptor in resolved.layers.iter().rev() {
            layers.push(self.layer(&image, layout, descriptor)?);
        }
        // A layer that occurs twice is needed only where it is uppermost.
        let mut seen = std::collections::HashSet::new();
        layers.retain(|layer| seen.insert(layer.clone()));
        let places = places(&self.directory.join(".layers"), &layers)
            .map_err(|source| ImageError::Places { image, source })?;
        Ok(Image { config: resolved.config, layers, places })
    }

    /// The directory of an extracted layer.
    fn layer(
        &self,
        image: &str,
        layout: &Path,
        descriptor: &Descriptor,
    ) -> Result<PathBuf, ImageError> {
        let blob = Blob::new(image, descriptor)?;
        let compression = compression(image, descriptor)?;
        let layers = self.directory.join(".layers/sha256");
        let target = layers.join(blob.digest().hex());
        if target.is_dir() {
            return Ok(target);
        }
        let failed = |operation, path: &Path| {
            let (image, path) = (image.to_owned(), path.to_owned());
            move |source: io::Error| ImageError::Io { image, operation, path, source }
        };
        let staging = self.directory.join(".layers/staging");
        for directory in [&layers, &staging] {
            // Closed to others: set-user-ID files of an image are not for the host's users.
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(directory);
            made.map_err(failed("mkdir", directory))?;
        }
        // Held until the layer is in its place: others wait and then find it, and what a
        // killed one left behind is free to be removed.
        let lock_path = staging.join(format!("{}.lock", blob.digest().hex()));
        let lock = File::create(&lock_path).map_err(failed("open", &lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| failed("flock", &lock_path)(error.into()))?;
        if target.is_dir() {
            return Ok(target);
        }
        let partial = staging.join(blob.digest().hex());
        remove(&partial).map_err(failed("remove", &partial))?;
        fs::create_dir(&partial).map_err(failed("mkdir", &partial))?;
        tracing::info!(image, layer = %blob.digest(), "extracting");
        if let Err(error) = unpack(image, layout, &blob, compression, &partial) {
            remove(&partial).map_err(failed("remove", &partial))?;
            return Err(error);
        }
        let synced = File::open(&partial).and_then(|directory| Ok(syncfs(&directory)?));
        synced.map_err(failed("syncfs", &partial))?;
        fs::rename(&partial, &target).map_err(failed("rename", &target))?;
        let synced = File::open(&layers).and_then(|directory| directory.sync_all());
        synced.map_err(failed("fsync", &layers))?;
        Ok(target)
    }
}

fn compression(image: &str, descriptor: &Descriptor) -> Result<Compression, ImageError> {
    let media_type = descriptor.media_type();
    Ok(match media_type {
        MediaType::ImageLayer | MediaType::ImageLayerNonDistributable => Compression::None,
        MediaType::ImageLayerGzip | MediaType::ImageLayerNonDistributableGzip => Compression::Gzip,
        MediaType::ImageLayerZstd | MediaType::ImageLayerNonDistributableZstd => Compression::Zstd,
        MediaType::Other(docker)
            if docker == "application/vnd.docker.image.rootfs.diff.tar.gzip" =>
        {
            Compression::Gzip
        }
        other => {
            return Err(ImageError::MediaType {
                image: image.to_owned(),
                blob: descriptor.digest().to_string(),
                media_type: other.to_string(),
            });
        }
    })
}

fn unpack(
    image: &str,
    layout: &Path,
    blob: &Blob<'_>,
    compression: Compression,
    target: &Path,
) -> Result<(), ImageError> {
    let damaged = |reason: String| ImageError::Blob {
        image: image.to_owned(),
        blob: blob.digest().to_string(),
        reason,
    };
    let mut source = BufReader::with_capacity(BUFFER, blob.open(layout)?);
    let extracted = {
        let plain: Box<dyn Read + '_> = match compression {
            Compression::None => Box::new(&mut source),
            Compression::Gzip => Box::new(MultiGzDecoder::new(&mut source)),
            Compression::Zstd => Box::new(
                StreamingDecoder::new(&mut source)
                    .map_err(|error| damaged(format!("zstd: {error}")))?,
            ),
        };
        extract(plain, target)
    };
    // Damage explains a bad archive better than the archive does.
    blob.verify(source.into_inner())?;
    extracted.map_err(|error| {
        if error.entry.is_empty() {
            return damaged(error.reason);
        }
        ImageError::Entry {
            image: image.to_owned(),
            blob: blob.digest().to_string(),
            entry: error.entry,
            reason: error.reason,
        }
    })
}

/// Removes a directory and all in it, if it is there.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
