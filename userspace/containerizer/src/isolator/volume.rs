//! `volume/…`: files and directories that a container is given.

pub(super) mod host_path;
pub(super) mod image;
pub(super) mod sandbox_path;
pub(super) mod secret;

use std::path::PathBuf;

use super::Request;
use crate::{Error, Volume};

/// Where `volume` comes to be inside.
fn target(request: &Request<'_>, volume: &Volume) -> Result<PathBuf, Error> {
    let inside = &volume.container_path;
    match (inside.is_absolute(), request.image) {
        (true, Some(_)) => Ok(inside.clone()),
        // In an image of its parent's there is no telling from here; the helper will find out.
        (true, None) if request.in_image() || inside.exists() => Ok(inside.clone()),
        // Nothing is made on the host.
        (true, None) => Err(Error::Spec {
            field: "volumes",
            reason: format!("{} is not there, and there is no image", inside.display()),
        }),
        (false, _) => Ok(request.sandbox_inside().join(inside)),
    }
}
