//! What can be wrong with an image.

use std::io;
use std::path::PathBuf;

/// An image that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The reference is not `name[:tag]` or `name@digest`.
    #[error("image `{reference}`: {reason}")]
    Reference {
        /// What was given.
        reference: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// The store holds no image of that name.
    #[error(
        "image {image}: not in the image store, and no --docker-registry to ask: no image layout, archive (.tar) or root filesystem at {path}"
    )]
    Missing {
        /// The image.
        image: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// There is no such image that could be removed.
    #[error("image {image}: not in the image store")]
    Unknown {
        /// The image.
        image: String,
    },
    /// The image is a directory of the user's, of which the store keeps nothing.
    #[error("image {image}: a root filesystem in the image store, which is used as it is")]
    Root {
        /// The image.
        image: String,
    },
    /// The image cannot be removed.
    #[error("image {image} is in use by {by}; kill that first")]
    InUse {
        /// The image.
        image: String,
        /// Who uses it.
        by: String,
    },
    /// The image cannot be provisioned by the agent's backend.
    #[error("image {image}: the {backend} backend {reason}")]
    Backend {
        /// The image.
        image: String,
        /// The value of `--image-provisioner-backend`.
        backend: &'static str,
        /// What it cannot.
        reason: String,
    },
    /// An archive does not give the image.
    #[error("image {image}: archive {path}: {reason}")]
    Archive {
        /// The image.
        image: String,
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No registry can be asked for an image of that name.
    #[error("image {image}: {reason}")]
    Address {
        /// The image.
        image: String,
        /// What is wrong with the name, or with where it leads.
        reason: String,
    },
    /// A registry does not give the image.
    #[error("image {image}: registry {registry}: {step}: {reason}")]
    Registry {
        /// The image.
        image: String,
        /// The registry's host and port.
        registry: String,
        /// What was done.
        step: String,
        /// The status or error, and the way out.
        reason: String,
    },
    /// The image has no such tag.
    #[error("image {image}: no such tag; there is {tags}")]
    Tag {
        /// The image.
        image: String,
        /// The tags that there are.
        tags: String,
    },
    /// The image is made for other machines.
    #[error("image {image}: not for {wanted}; it is for {found}")]
    Platform {
        /// The image.
        image: String,
        /// This machine's platform, `linux/amd64`.
        wanted: String,
        /// The platforms that there are.
        found: String,
    },
    /// A media type that is not understood.
    #[error("image {image}: blob {blob} has the unsupported media type {media_type}")]
    MediaType {
        /// The image.
        image: String,
        /// The blob's digest.
        blob: String,
        /// Its media type.
        media_type: String,
    },
    /// A blob is missing, damaged or not what its descriptor says.
    #[error("image {image}: blob {blob}: {reason}")]
    Blob {
        /// The image.
        image: String,
        /// The blob's digest.
        blob: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry of a layer cannot be extracted.
    #[error("image {image}: layer {blob}: entry `{entry}`: {reason}")]
    Entry {
        /// The image.
        image: String,
        /// The layer's digest.
        blob: String,
        /// The entry's path.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// A JSON document of the layout is malformed.
    #[error("image {image}: {document}: {reason}")]
    Document {
        /// The image.
        image: String,
        /// `oci-layout`, `index.json`, or a blob's digest.
        document: String,
        /// What is wrong.
        reason: String,
    },
    /// The image is larger than the agent allows.
    #[error("image {image}: {exceeded}")]
    Limit {
        /// The image.
        image: String,
        /// The limit, and the flag that sets it.
        exceeded: super::Exceeded,
    },
    /// The image says nothing about what to run.
    #[error("image {image}: neither Entrypoint nor Cmd is set; give the container a command")]
    NoCommand {
        /// The image.
        image: String,
    },
    /// The layer with the places for mounts cannot be made.
    #[error("image {image}: places for mounts: {source}")]
    Places {
        /// The image.
        image: String,
        /// The step that failed.
        source: crate::SetupError,
    },
    /// The layer on top of all others, with what they leave open, cannot be made.
    #[error("image {image}: join its layers: {source}")]
    Joined {
        /// The image.
        image: String,
        /// The step that failed.
        source: crate::SetupError,
    },
    /// A system call on the store failed.
    #[error("image {image}: {operation} {path}: {source}")]
    Io {
        /// The image.
        image: String,
        /// The system call or operation.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}
