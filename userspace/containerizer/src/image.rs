//! Images: an OCI image layout per image, and a store of extracted layers.
//!
//! `<image_dir>/<name>/` is an image layout (OCI image-spec 1.1); tags are the
//! `org.opencontainers.image.ref.name` annotations of its `index.json`. Layers are
//! extracted once each into `<image_dir>/.layers/sha256/<digest>`, in the form that
//! overlayfs stacks; what a layer leaves open is settled by a thin one on top of each stack.
//! What has no layout is pulled from a registry.

mod archive;
mod blob;
mod digest;
mod error;
mod extract;
mod layout;
mod places;
mod reference;
mod registry;
mod store;
mod tree;

pub use error::ImageError;
pub use registry::Registries;

pub(crate) use archive::Archive;
pub(crate) use digest::Digest;
pub(crate) use places::{FILES, as_root_of};
pub(crate) use store::{Image, Store};
