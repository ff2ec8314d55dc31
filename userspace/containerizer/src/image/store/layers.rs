//! Extracted layers: `<image_dir>/.layers/`.
//!
//! | directory | what |
//! |---|---|
//! | `sha256/<digest>/` | a layer, as overlayfs wants it |
//! | `sizes/<digest>` | bytes and entries of its archive |
//! | `implied/<digest>` | its directories without an entry, each path ended by a NUL |
//! | `unsynced/<digest>` | the boot in which it was extracted, until it is on the disk |
//! | `joined/<digest>/` | what has to be on top of a stack of layers ([`super::joined`]) |
//! | `staging/` | what is in the making, and locks |

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;
use oci_spec::image::{Descriptor, MediaType};
use rustix::fs::{FlockOperation, flock, syncfs};
use ruzstd::decoding::StreamingDecoder;

use super::ahead::ahead;
use crate::image::ImageError;
use crate::image::blob::Blob;
use crate::image::extract::{Extracted, extract};
use crate::image::limits::{Budget, Measure};
use crate::image::uses::{Item, Lease, Uses, hold};
use crate::removal::remove_tree;

/// How many layers of an image are extracted at a time.
const PARALLEL: usize = 2;

/// The directory of extracted layers. Several processes may use it.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    directory: PathBuf,
    uses: Arc<Uses>,
    /// The boot that this is.
    boot: String,
}

/// Blobs of an image, to be extracted.
#[derive(Clone, Copy)]
pub(super) struct Blobs<'a> {
    /// The image, for messages.
    pub(super) image: &'a str,
    /// The layout that has them.
    pub(super) layout: &'a Path,
    /// How much the image may have.
    pub(super) budget: &'a Budget,
    /// Keeps its layers.
    pub(super) lease: &'a Lease,
}

/// How a layer is packed.
#[derive(Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Layers {
    /// Those in `directory`, which need not be there yet; `boot` is this boot's id.
    pub(super) fn new(directory: PathBuf, uses: Arc<Uses>, boot: String) -> Self {
        Self { directory, uses, boot }
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directories of layers, the uppermost first; they are extracted, some at a time,
    /// if they are not there. After a failure no further one is begun.
    pub(super) fn extracted(
        &self,
        blobs: Blobs<'_>,
        descriptors: &[Descriptor],
    ) -> Result<Vec<PathBuf>, ImageError> {
        let mut seen = BTreeSet::new();
        let mut layers = Vec::with_capacity(descriptors.len());
        // A layer that occurs twice is needed only where it is uppermost.
        for descriptor in descriptors.iter().rev() {
            let blob = Blob::new(blobs.image, descriptor)?;
            let compression = compression(blobs.image, descriptor)?;
            if seen.insert(blob.digest().clone()) {
                layers.push((blob, compression));
            }
        }
        let items = layers.iter().map(|(blob, _)| Item::layer(blob.digest().hex()));
        blobs.lease.keep_for(blobs.image, items)?;
        let queue = Mutex::new(layers.iter());
        let failure = Mutex::new(None);
        let work = || loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((blob, compression)) = next else { return };
            if let Err(error) = self.one(blobs, blob, *compression) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
            }
        };
        if layers.iter().all(|(blob, _)| self.has(blob)) {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 1..PARALLEL.min(layers.len()) {
                    scope.spawn(work);
                }
                work();
            });
        }
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(layers.iter().map(|(blob, _)| self.target(blob)).collect()),
        }
    }

    /// Directories of the extracted `layer` that have no entry: what their owner, mode and the
    /// rest are has to be seen from the layers below.
    pub(super) fn implied(&self, layer: &Path) -> io::Result<BTreeSet<PathBuf>> {
        let note = self.directory.join("implied").join(layer.file_name().unwrap_or_default());
        let text = match fs::read(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            text => text?,
        };
        let paths = text.split_inclusive(|byte| *byte == 0);
        let paths = paths.filter_map(|path| path.strip_suffix(b"\0"));
        Ok(paths.map(|path| PathBuf::from(OsString::from_vec(path.to_vec()))).collect())
    }

    fn target(&self, blob: &Blob<'_>) -> PathBuf {
        self.directory.join("sha256").join(blob.digest().hex())
    }

    /// Whether the layer is there as a whole: on the disk, or in memory since this boot.
    fn has(&self, blob: &Blob<'_>) -> bool {
        self.target(blob).is_dir()
            && match fs::read_to_string(self.unsynced(blob)) {
                Err(error) => error.kind() == io::ErrorKind::NotFound,
                Ok(boot) => boot == self.boot,
            }
    }

    fn unsynced(&self, blob: &Blob<'_>) -> PathBuf {
        self.directory.join("unsynced").join(blob.digest().hex())
    }

    /// A layer that is there takes its part of the image's budget, too.
    fn present(&self, blobs: Blobs<'_>, blob: &Blob<'_>) -> Result<(), ImageError> {
        let path = self.directory.join("sizes").join(blob.digest().hex());
        let image = || blobs.image.to_owned();
        let text = match fs::read_to_string(&path) {
            // Extracted before there were limits.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|source| ImageError::Io {
                image: image(),
                operation: "read",
                path: path.clone(),
                source,
            })?,
        };
        let parse = |number: &str| number.parse().ok();
        let measure = text.split_once(' ').and_then(|(bytes, entries)| {
            Some(Measure { bytes: parse(bytes)?, entries: parse(entries)? })
        });
        let Some(measure) = measure else {
            let document = path.display().to_string();
            let reason = format!("`{text}` is not bytes and entries");
            return Err(ImageError::Document { image: image(), document, reason });
        };
        let taken = blobs.budget.take(measure);
        taken.map_err(|exceeded| ImageError::Limit { image: image(), exceeded })
    }

    /// Extracts a layer, unless it is there.
    fn one(
        &self,
        blobs: Blobs<'_>,
        blob: &Blob<'_>,
        compression: Compression,
    ) -> Result<(), ImageError> {
        if self.has(blob) {
            return self.present(blobs, blob);
        }
        let failed = |operation, path: &Path| {
            let (image, path) = (blobs.image.to_owned(), path.to_owned());
            move |source: io::Error| ImageError::Io { image, operation, path, source }
        };
        for name in ["sha256", "sizes", "implied", "unsynced", "staging"] {
            // Closed to others: set-user-ID files of an image are not for the host's users.
            let directory = self.directory.join(name);
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(&directory);
            made.map_err(failed("mkdir", &directory))?;
        }
        // Held until the layer is in its place: others wait and then find it, and what a
        // killed one left behind is free to be removed.
        let staging = self.directory.join("staging");
        let lock_path = staging.join(format!("{}.lock", blob.digest().hex()));
        let lock = File::create(&lock_path).map_err(failed("open", &lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| failed("flock", &lock_path)(error.into()))?;
        if self.has(blob) {
            return self.present(blobs, blob);
        }
        let (target, partial) = (self.target(blob), staging.join(blob.digest().hex()));
        for path in [&partial, &target] {
            // The latter is of an earlier boot, whose containers have all ended with it.
            remove_tree(path).map_err(failed("remove", path))?;
        }
        fs::create_dir(&partial).map_err(failed("mkdir", &partial))?;
        let mark = self.unsynced(blob);
        write(&mark, self.boot.as_bytes()).map_err(failed("write", &mark))?;
        tracing::info!(image = blobs.image, layer = %blob.digest(), "extracting");
        let Extracted { implied, measure } = match unpack(blobs, blob, compression, &partial) {
            Ok(extracted) => extracted,
            Err(error) => {
                remove_tree(&partial).map_err(failed("remove", &partial))?;
                fs::remove_file(&mark).map_err(failed("remove", &mark))?;
                return Err(error);
            }
        };
        if !implied.is_empty() {
            let path = self.directory.join("implied").join(blob.digest().hex());
            let mut text = Vec::new();
            for directory in &implied {
                text.extend_from_slice(directory.as_os_str().as_bytes());
                text.push(0);
            }
            write(&path, &text).map_err(failed("write", &path))?;
        }
        let path = self.directory.join("sizes").join(blob.digest().hex());
        let text = format!("{} {}", measure.bytes, measure.entries);
        write(&path, text.as_bytes()).map_err(failed("write", &path))?;
        fs::rename(&partial, &target).map_err(failed("rename", &target))?;
        let made = File::open(&target).map_err(failed("open", &target))?;
        sync(self.uses.directory().to_owned(), made, target, mark);
        Ok(())
    }
}

/// Puts a layer on the disk, for which nobody waits, and takes its mark away. Until that has
/// happened it does not outlive a loss of power.
fn sync(uses: PathBuf, made: File, layer: PathBuf, mark: PathBuf) {
    std::thread::spawn(move || {
        let synced = (|| {
            syncfs(&made)?;
            let _gate = hold(&uses).map_err(io::Error::other)?;
            // It may have been removed, and even made again, meanwhile: that is another one's.
            let (own, now) = (made.metadata()?, fs::metadata(&layer));
            if now.is_ok_and(|now| (own.dev(), own.ino()) == (now.dev(), now.ino())) {
                fs::remove_file(&mark)?;
            }
            io::Result::Ok(())
        })();
        if let Err(error) = synced {
            // It is extracted again after the next boot.
            tracing::warn!(layer = %layer.display(), %error, "cannot be put on the disk");
        }
    });
}

/// A small file, as a whole and on the disk, or not at all.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
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

/// Reading with its digest, decompression, and what is made of it: each on a thread.
fn unpack(
    blobs: Blobs<'_>,
    blob: &Blob<'_>,
    compression: Compression,
    target: &Path,
) -> Result<Extracted, ImageError> {
    let damaged = |reason: String| ImageError::Blob {
        image: blobs.image.to_owned(),
        blob: blob.digest().to_string(),
        reason,
    };
    let source = blob.open(blobs.layout)?;
    let meter = blobs.budget.meter(blob.size());
    std::thread::scope(|scope| {
        let (packed, thread) = ahead(scope, source);
        let extracted = match compression {
            Compression::None => extract(packed, target, &meter),
            Compression::Gzip => {
                let (plain, _) = ahead(scope, MultiGzDecoder::new(packed));
                extract(plain, target, &meter)
            }
            Compression::Zstd => {
                let decoder = StreamingDecoder::new(packed);
                let decoder = decoder.map_err(|error| damaged(format!("zstd: {error}")))?;
                let (plain, _) = ahead(scope, decoder);
                extract(plain, target, &meter)
            }
        };
        // Damage explains a bad archive better than the archive does.
        let source = thread.join().map_err(|_| damaged("its reader died".into()))?;
        blob.verify(source)?;
        extracted.map_err(|error| {
            if error.entry.is_empty() {
                return damaged(error.reason);
            }
            ImageError::Entry {
                image: blobs.image.to_owned(),
                blob: blob.digest().to_string(),
                entry: error.entry,
                reason: error.reason,
            }
        })
    })
}
