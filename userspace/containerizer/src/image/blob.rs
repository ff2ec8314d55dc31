//! Blobs of an image layout, checked against their descriptors.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use oci_spec::image::Descriptor;
use serde::de::DeserializeOwned;

use super::ImageError;
use super::digest::{Digest, Hashing};

/// The largest manifest, index or config that is read.
pub(crate) const DOCUMENT_MAX: u64 = 4 << 20;

/// A blob that is to be read whole: damage is seen at its end.
pub(crate) struct Blob<'a> {
    image: &'a str,
    digest: Digest,
    size: u64,
}

impl<'a> Blob<'a> {
    /// The blob that `descriptor` describes.
    pub(crate) fn new(image: &'a str, descriptor: &Descriptor) -> Result<Self, ImageError> {
        let digest = descriptor.digest().to_string();
        match Digest::parse(&digest) {
            Some(digest) => Ok(Self { image, digest, size: descriptor.size() }),
            None => Err(ImageError::Blob {
                image: image.to_owned(),
                blob: digest,
                reason: "not a sha256 digest".into(),
            }),
        }
    }

    /// Its digest.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its size in bytes, as its descriptor has it.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Opens it in the layout at `layout`.
    pub(crate) fn open(&self, layout: &Path) -> Result<Hashing<File>, ImageError> {
        let path = layout.join("blobs/sha256").join(self.digest.hex());
        let file = File::open(&path)
            .map_err(|error| self.damaged(format!("open {}: {error}", path.display())))?;
        Ok(Hashing::new(file))
    }

    /// Reads the rest and compares size and digest.
    pub(crate) fn verify(&self, read: Hashing<File>) -> Result<(), ImageError> {
        let (digest, size) =
            read.finish().map_err(|error| self.damaged(format!("read: {error}")))?;
        if size != self.size {
            return Err(self.damaged(format!("{size} bytes long instead of {}", self.size)));
        }
        if digest != self.digest {
            return Err(self.damaged(format!("its content has the digest {digest}")));
        }
        Ok(())
    }

    /// Its size, if it is no larger than a document may be.
    pub(crate) fn document_size(&self) -> Result<u64, ImageError> {
        if self.size > DOCUMENT_MAX {
            return Err(self.damaged(format!("larger than {DOCUMENT_MAX} bytes")));
        }
        Ok(self.size)
    }

    /// A JSON document.
    pub(crate) fn document<T: DeserializeOwned>(&self, layout: &Path) -> Result<T, ImageError> {
        let size = self.document_size()?;
        let mut source = self.open(layout)?;
        let mut text = Vec::new();
        source
            .by_ref()
            .take(size)
            .read_to_end(&mut text)
            .map_err(|error| self.damaged(format!("read: {error}")))?;
        self.verify(source)?;
        serde_json::from_slice(&text).map_err(|error| ImageError::Document {
            image: self.image.to_owned(),
            document: self.digest.to_string(),
            reason: error.to_string(),
        })
    }

    fn damaged(&self, reason: String) -> ImageError {
        ImageError::Blob { image: self.image.to_owned(), blob: self.digest.to_string(), reason }
    }
}
