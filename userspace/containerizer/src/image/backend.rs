//! How a root filesystem comes about from an image's layers.

mod backends;

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::str::FromStr;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::error::Step as _;
use crate::launch::rootfs;
use crate::removal::remove_tree;
use crate::{Error, SetupError};

use super::ImageError;
use super::reference::Reference;
use super::store::LAYERS_MAX;

pub use self::backends::Backends;

/// A way to make one directory of some layers: Mesos' provisioner backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// overlayfs: nothing is copied.
    Overlay,
    /// A copy for each container.
    Copy,
    /// The layer itself: of images that have only one, and nothing can be written.
    Bind,
}

/// The backends of a store.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// Which, unless an image has its own.
    usual: Backend,
    wanted: Backends,
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "overlay" => Ok(Self::Overlay),
            "copy" => Ok(Self::Copy),
            "bind" => Ok(Self::Bind),
            _ => Err(format!("`{name}` is none of overlay, copy, bind")),
        }
    }
}

impl Backend {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Copy => "copy",
            Self::Bind => "bind",
        }
    }
}

impl Chosen {
    /// The backends that are `wanted`, or the one that the file system of the store in
    /// `directory` can.
    pub(super) fn new(wanted: Backends, directory: &Path) -> Result<Self, Error> {
        let usual = wanted.usual().unwrap_or(Backend::Overlay);
        let chosen = Self { usual, wanted };
        if usual != Backend::Overlay && !chosen.wanted.has(Backend::Overlay) {
            return Ok(chosen);
        }
        match probe(&directory.join(".layers/staging")) {
            Ok(()) => Ok(chosen),
            Err(error) if chosen.wanted.has(Backend::Overlay) => Err(Error::Unsupported {
                what: format!("no overlayfs in {}: {error}", directory.display()),
                remedy: "run: modprobe overlay, or use --image-provisioner-backend=copy".into(),
            }),
            Err(error) => {
                tracing::warn!(%error, "no overlayfs: root filesystems are copied");
                Ok(Self { usual: Backend::Copy, ..chosen })
            }
        }
    }

    /// The backend for `image`, which has so many layers.
    pub(super) fn of(&self, image: &Reference, layers: usize) -> Result<Backend, ImageError> {
        let said = self.wanted.of(image).or(self.wanted.usual());
        let backend = said.unwrap_or(self.usual);
        let refuse = |reason| {
            Err(ImageError::Backend { image: image.to_string(), backend: backend.name(), reason })
        };
        match backend {
            Backend::Bind if layers > 1 => {
                refuse(format!("takes images of one layer, and this has {layers}"))
            }
            // If nobody has said that it has to be this one, another will do.
            Backend::Overlay if layers > LAYERS_MAX && said.is_none() => Ok(Backend::Copy),
            Backend::Overlay if layers > LAYERS_MAX => {
                refuse(format!("takes {LAYERS_MAX} layers, and this has {layers}"))
            }
            fit => Ok(fit),
        }
    }
}

/// Mounts an overlay in `directory` where nobody sees it.
fn probe(directory: &Path) -> Result<(), SetupError> {
    let (probe, lock) = (directory.join("probe"), directory.join("probe.lock"));
    let step = || format!("probe {}", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).step(step)?;
    let lock = File::create(&lock).step(step)?;
    flock(&lock, FlockOperation::LockExclusive).step(step)?;
    remove_tree(&probe).step(step)?;
    for name in ["", "lower", "upper", "work"] {
        fs::create_dir(probe.join(name)).step(step)?;
    }
    // A thread may have a mount namespace of its own, which ends with it.
    let mounted = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).step(|| "unshare".into())?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .step(|| "part from the host's mounts".into())?;
            rootfs::overlay(&[probe.join("lower")], &probe)
        });
        thread.join().map_err(|_| SetupError::new("probe overlayfs", "the thread died"))?
    });
    remove_tree(&probe).step(step)?;
    mounted
}
