//! Images: where they come from, and a store of extracted layers.
//!
//! What is in `<image_dir>` is looked at first: `<name>/` as an image layout (OCI image-spec 1.1;
//! tags are the `org.opencontainers.image.ref.name` annotations of its `index.json`), an archive
//! `<name>:<tag>.tar` or `<name>.tar` (of `docker save`, or a layout), or a root filesystem
//! `<name>:<tag>/` or `<name>/`. What is not there is pulled from a registry. Layers are
//! extracted once each into `<image_dir>/.layers/sha256/<digest>`, in the form that
//! overlayfs stacks; what a layer leaves open is settled by a thin one on top of each stack.

mod archive;
mod backend;
mod blob;
mod collection;
mod copy;
mod derived;
mod digest;
mod error;
mod extract;
mod layout;
mod limits;
mod local;
mod places;
mod progress;
mod reference;
mod registry;
mod root;
mod saved;
mod store;
mod tree;
mod uses;

pub use backend::{Backend, Backends};
pub use collection::{Collected, StoredImage};
pub use error::ImageError;
pub use limits::{Exceeded, ImageLimits};
pub use progress::Pulling;
pub use reference::check_image_name;
pub use registry::{Credentials, Registries};

pub(crate) use archive::Archive;
pub(crate) use copy::copy;
pub(crate) use derived::own_as;
pub(crate) use digest::Digest;
pub(crate) use places::FILES;
pub(crate) use registry::pulled;
pub(crate) use store::{Image, Store};
pub(crate) use uses::Lease;

/// Extracts an archive by itself, for as long as `limits` let it.
pub(crate) fn unpack(
    archive: &[u8],
    root: &std::path::Path,
    limits: ImageLimits,
) -> Result<(), String> {
    let budget = limits::Budget::new(limits);
    let extracted = extract::extract(archive, root, &budget.meter(archive.len() as u64));
    extracted.map(drop).map_err(|error| format!("{}: {}", error.entry, error.reason))
}
