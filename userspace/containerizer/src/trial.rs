//! What takes bytes from outside, by itself: for `fuzz/`, which has neither a registry nor a
//! container for each of its inputs. Nothing else calls these.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::image::{self, Digest};
use crate::seccomp::{Profile, Surroundings};
use crate::{CapabilitySet, ImageBackend, ImageLimits, Registries, fetcher};

/// One instruction of a filter: `struct sock_filter` (linux/filter.h).
pub type Instruction = (u16, u8, u8, u32);

fn text(error: impl Display) -> String {
    error.to_string()
}

/// The digest of `bytes`, `sha256:…`.
pub fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// Extracts a layer, an archive that is not compressed, into the empty directory `root`.
///
/// # Errors
/// It is damaged, or has what it may not have, or more of it than `limits` say.
pub fn layer(archive: &[u8], root: &Path, limits: ImageLimits) -> Result<(), String> {
    image::unpack(archive, root, limits)
}

/// Makes the image `name` ready that is in `directory`: the directories of its layers, the
/// uppermost first. No registry is asked.
///
/// # Errors
/// There is none, or it is refused.
pub fn provision(
    directory: &Path,
    name: &str,
    limits: ImageLimits,
) -> Result<Vec<PathBuf>, String> {
    let default = Some(directory.join("registry").display().to_string());
    let registries = Registries { default, ..Registries::default() };
    let backends = ImageBackend::Copy.into();
    let store = image::Store::new(directory.to_owned(), directory, registries, limits, backends);
    let store = store.map_err(text)?;
    let found = store.provision(name, None, false, &store.lease()).map_err(text)?;
    Ok(found.layers)
}

/// What a registry gives: the manifest or index `bytes` with its `Content-Type`, and the blobs
/// in the image layout at `layout`, which it gets into. The digests of the layers.
///
/// # Errors
/// It is not taken.
pub fn pulled(
    bytes: &[u8],
    content_type: Option<&str>,
    layout: &Path,
) -> Result<Vec<String>, String> {
    image::pulled(bytes, content_type, layout)
}

/// Unpacks the fetched archive `file` into the directory `into`, by the format that its name
/// says: `entries` files, and as many bytes as it has itself, or `bytes` if that is more.
///
/// # Errors
/// It is damaged, or has what it may not have, or more of it.
pub fn fetched(file: &Path, into: &Path, bytes: u64, entries: u64) -> Result<(), String> {
    fetcher::unpack(file, into, bytes, entries).map_err(text)
}

/// Compiles a profile of system calls for this machine and Docker's capabilities.
///
/// # Errors
/// It is refused.
pub fn seccomp(profile: &str) -> Result<Vec<Instruction>, String> {
    let surroundings = Surroundings::here(CapabilitySet::DOCKER)?;
    let filter = Profile::parse(profile).map_err(text)?.compile(&surroundings).map_err(text)?;
    Ok(filter.instructions().map(|i| (i.code, i.yes, i.no, i.operand)).collect())
}
