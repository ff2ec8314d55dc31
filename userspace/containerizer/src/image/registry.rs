//! Images from registries, by the Docker Registry HTTP API v2 (OCI distribution-spec 1.1).
//!
//! What is pulled lies in `<image_dir>/.registry/`: `blobs/sha256/<digest>` as in an image
//! layout, `partial/<digest>` while it arrives, and in `images/<registry>/<repository>/` what a
//! tag stood for when it was last asked about.

mod address;
mod challenge;
mod credentials;
mod download;
mod pull;
mod session;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;

pub use credentials::Credentials;
pub use settings::Registries;

pub(crate) use pull::{Pull, pull, pulled, record_of};
pub(crate) use shelf::Shelf;
