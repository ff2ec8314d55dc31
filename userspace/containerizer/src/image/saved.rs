//! Archives of images: what `docker save` writes, and image layouts packed by tar, with gzip
//! around it or not.
//!
//! An archive's blobs go to the shelf of what was pulled, checked against their digests: from
//! there on its images are like any other, and share layers with them.

mod choice;
mod contents;
mod docker;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex};

use super::blob::Blob;
use super::digest::{Digest, Hashing};
use super::layout::{self, Resolved};
use super::reference::Reference;
use super::registry::Shelf;
use super::uses::{Item, Lease};
use super::{ImageError, ImageLimits};
use choice::choose;
use contents::Contents;

/// Which archive, as of when, an image on the shelf comes from.
const ORIGIN: &str = "org.muster.archive";
/// The name of an image on the shelf that was in an archive.
pub(crate) const NAME: &str = "org.muster.image";

/// An archive in which an image is expected.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// Where it is.
    pub(crate) path: &'a Path,
    /// The image.
    pub(crate) reference: &'a Reference,
    /// Whether its file's name says the tag: then its only image is meant, whatever tags that
    /// has.
    pub(crate) tagged: bool,
}

impl Saved<'_> {
    /// Makes sure that all of the image is on the shelf. An archive that has not changed since
    /// is not read again.
    pub(crate) fn load(
        &self,
        shelf: &Shelf,
        lease: &Lease,
        limits: ImageLimits,
    ) -> Result<Resolved, ImageError> {
        let image = self.reference.to_string();
        let key = format!("{}\0{image}", self.path.display());
        let name =
            Path::new("_archives").join(format!("{}.json", Digest::of(key.as_bytes()).hex()));
        let failed = |operation| {
            let (image, path) = (image.clone(), shelf.layout().join(&name));
            move |source| ImageError::Io { image, operation, path, source }
        };
        lease.keep_for(&image, [Item::record(&name)])?;
        let here = || -> Result<Option<Resolved>, ImageError> {
            let origin = self.origin()?;
            let known = shelf.known(&name).map_err(failed("read"))?;
            let same = |descriptor: &Descriptor| {
                descriptor.annotations().as_ref().and_then(|notes| notes.get(ORIGIN))
                    == Some(&origin)
            };
            let Some(known) = known.filter(same) else { return Ok(None) };
            // Something of it may have been removed: then it is read again.
            let top = std::slice::from_ref(&known);
            let mut keep = |descriptor: &Descriptor| lease.keep_blobs(&image, [descriptor]);
            let found = layout::follow(shelf.layout(), &image, top, &mut keep).ok();
            let Some(mut found) = found else { return Ok(None) };
            lease.keep_blobs(&image, &found.layers)?;
            found.record = Some(name.clone());
            let whole = self.lacks(&found, shelf).is_ok_and(|lacking| lacking.is_empty());
            Ok(Some(found).filter(|_| whole))
        };
        if let Some(found) = here()? {
            return Ok(found);
        }
        let _lock = shelf.lock(&name).map_err(failed("lock"))?;
        if let Some(found) = here()? {
            return Ok(found);
        }
        tracing::info!(image, archive = %self.path.display(), "loading");
        // Before it is read: should it change meanwhile, that is noticed the next time.
        let origin = self.origin()?;
        let contents =
            Contents::read(self.path, limits).map_err(|error| self.wrong(error.to_string()))?;
        let (mut top, places) = self.top(&contents)?;
        let ensure = |descriptor: &Descriptor| {
            let digest = Blob::new(&image, descriptor)?.digest().clone();
            let Some(text) = contents.document(&digest) else {
                return Err(self.wrong(format!("{digest} is not in it")));
            };
            lease.keep_for(&image, [Item::blob(&digest)])?;
            shelf.keep(&digest, text).map_err(failed("write"))
        };
        if let Some(text) = &places.manifest {
            lease.keep_for(&image, [Item::blob(&Digest::of(text))])?;
            shelf.keep(&Digest::of(text), text).map_err(failed("write"))?;
        } else {
            ensure(&top)?;
        }
        let mut rest = |descriptor: &Descriptor| match &places.manifest {
            Some(text) if Digest::of(text).to_string() == descriptor.digest().to_string() => Ok(()),
            _ => ensure(descriptor),
        };
        let single = std::slice::from_ref(&top);
        let mut resolved = layout::follow(shelf.layout(), &image, single, &mut rest)?;
        limits
            .manifest(resolved.layers.iter().map(Descriptor::size))
            .map_err(|exceeded| ImageError::Limit { image: image.clone(), exceeded })?;
        lease.keep_blobs(&image, &resolved.layers)?;
        let lacking = self.lacks(&resolved, shelf)?;
        self.copy(&contents, &lacking, &places.layers, shelf, limits)?;
        let notes = [(ORIGIN.to_owned(), origin), (NAME.to_owned(), image.clone())];
        top.set_annotations(Some(HashMap::from(notes)));
        shelf.remember(&name, &top).map_err(failed("write"))?;
        resolved.record = Some(name.clone());
        Ok(resolved)
    }

    /// What changes when the archive does.
    fn origin(&self) -> Result<String, ImageError> {
        let found = fs::metadata(self.path).map_err(|error| self.wrong(error.to_string()))?;
        Ok(format!(
            "{}:{}:{}:{}.{}:{}.{}",
            found.dev(),
            found.ino(),
            found.len(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec()
        ))
    }

    /// The image's manifest or index, and where in the archive its layers are.
    fn top(&self, contents: &Contents) -> Result<(Descriptor, Places), ImageError> {
        let parsed = |name: &str, error: serde_json::Error| self.wrong(format!("{name}: {error}"));
        if let Some(text) = contents.named("manifest.json") {
            let images: Vec<docker::Image> =
                serde_json::from_slice(text).map_err(|error| parsed("manifest.json", error))?;
            let image = choose(self, &images, docker::Image::names, |_| false)?;
            let (top, text, layers) =
                image.manifest(contents).map_err(|reason| self.wrong(reason))?;
            return Ok((top, Places { manifest: Some(text), layers }));
        }
        let Some(text) = contents.named("index.json") else {
            let reason = "neither manifest.json (docker save) nor index.json (OCI) is in it";
            return Err(self.wrong(reason.into()));
        };
        let index: ImageIndex =
            serde_json::from_slice(text).map_err(|error| parsed("index.json", error))?;
        let wanted = |descriptor: &Descriptor| {
            let digest = self.reference.digest.as_ref();
            digest.is_some_and(|digest| digest.to_string() == descriptor.digest().to_string())
        };
        let top = choose(self, index.manifests(), choice::annotated, wanted)?;
        Ok((top.clone(), Places::default()))
    }

    /// Layers that are not on the shelf.
    fn lacks(&self, resolved: &Resolved, shelf: &Shelf) -> Result<Vec<Digest>, ImageError> {
        let image = self.reference.to_string();
        let mut lacking = Vec::new();
        for descriptor in &resolved.layers {
            let digest = Blob::new(&image, descriptor)?.digest().clone();
            if !shelf.has(&digest) {
                lacking.push(digest);
            }
        }
        Ok(lacking)
    }

    /// Copies the blobs `wanted` from the archive to the shelf.
    fn copy(
        &self,
        contents: &Contents,
        wanted: &[Digest],
        places: &BTreeMap<Digest, PathBuf>,
        shelf: &Shelf,
        limits: ImageLimits,
    ) -> Result<(), ImageError> {
        let mut wanted: BTreeMap<PathBuf, Digest> = wanted
            .iter()
            .map(|digest| {
                let usual = || Path::new("blobs/sha256").join(digest.hex());
                (places.get(digest).cloned().unwrap_or_else(usual), digest.clone())
            })
            .collect();
        if let Some(path) = wanted.keys().find(|path| !contents.has(path)) {
            return Err(self.wrong(format!("{} is not in it", path.display())));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let copied = contents::members(self.path, limits, |member, path, data| {
            if !member.is_file() {
                return Ok(true);
            }
            let Some(digest) = wanted.remove(path) else { return Ok(!wanted.is_empty()) };
            let Some((partial, mut file)) = shelf.partial(&digest)? else { return Ok(true) };
            // What an earlier one left may be anything.
            file.set_len(0)?;
            let mut source = Hashing::new(data);
            let mut buffer = vec![0; 256 << 10];
            loop {
                match io::Read::read(&mut source, &mut buffer)? {
                    0 => break,
                    read => file.write_all(&buffer[..read])?,
                }
            }
            let (found, _) = source.finish()?;
            if found != digest {
                fs::remove_file(&partial)?;
                return Err(io::Error::other(format!(
                    "{} should have the digest {digest}, and has {found}",
                    path.display()
                )));
            }
            shelf.finish(&digest, &partial, &file)?;
            Ok(!wanted.is_empty())
        });
        copied.map_err(|error| self.wrong(error.to_string()))?;
        match wanted.keys().next() {
            Some(path) => Err(self.wrong(format!("{} is not in it any more", path.display()))),
            None => Ok(()),
        }
    }

    fn wrong(&self, reason: String) -> ImageError {
        let image = self.reference.to_string();
        ImageError::Archive { image, path: self.path.to_owned(), reason }
    }
}

/// Where an image's parts are, if not where an image layout has them.
#[derive(Default)]
struct Places {
    /// The text of its manifest, if the archive has none.
    manifest: Option<Vec<u8>>,
    /// Paths of its layers.
    layers: BTreeMap<Digest, PathBuf>,
}
