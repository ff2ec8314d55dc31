//! Images for the demo and the scenarios, made from Debian's packages as OCI image layouts.
//!
//! An image is at `<store>/<name>/`, tagged `latest`. Its bytes depend on nothing but the
//! packages and this code: entries are sorted and carry no time, owner or machine.

mod busybox;
mod debian;
mod layer;
mod layout;
mod nginx;
mod store;
#[cfg(test)]
mod tests;

pub use store::{Made, Stored, list, make};

use crate::error::{Error, Result};
use debian::{Package, Packages};
use layer::Layer;

/// An image that can be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A shell and the usual commands; runs `sh`.
    Busybox,
    /// nginx on `$PORT0`, with a page that names the task and the host.
    Nginx,
}

/// What a recipe makes: the layers from the lowest, and how the image starts.
struct Image {
    layers: Vec<Layer>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    stop_signal: Option<&'static str>,
    exposed_port: Option<&'static str>,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Busybox, Self::Nginx];

    /// The image's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busybox => "busybox",
            Self::Nginx => "nginx",
        }
    }

    /// The recipe of the image `name`.
    ///
    /// # Errors
    /// [`Error::Missing`] with the names there are.
    pub fn of(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|recipe| recipe.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|recipe| recipe.name()).collect();
            Error::Missing {
                what: format!("a recipe for the image {name:?}"),
                fix: format!("there are recipes for {}", names.join(" and ")),
            }
        })
    }

    /// What the image is made of beside this code.
    fn packages(self) -> Result<Vec<Package>> {
        match self {
            Self::Busybox => busybox::packages(),
            Self::Nginx => nginx::packages(),
        }
    }

    fn image(self, packages: &Packages) -> Result<Image> {
        match self {
            Self::Busybox => busybox::image(packages),
            Self::Nginx => nginx::image(packages),
        }
    }

    /// Text that changes whenever this code makes something else of the same packages.
    fn revision(self) -> String {
        match self {
            Self::Busybox => busybox::REVISION.to_owned(),
            Self::Nginx => nginx::revision(),
        }
    }
}
