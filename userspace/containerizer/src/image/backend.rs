//! How a root filesystem comes about from an image's layers.

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

/// The backend of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Which.
    pub(super) backend: Backend,
    /// Whether somebody has said so, and for no image another one will do.
    pub(super) named: bool,
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
    /// The backend that is `wanted`, or the one that the file system of the store in
    /// `directory` can.
    pub(super) fn new(wanted: Option<Backend>, directory: &Path) -> Result<Self, Error> {
        let backend = wanted.unwrap_or(Backend::Overlay);
        let named = wanted.is_some();
        if backend != Backend::Overlay {
            return Ok(Self { backend, named });
        }
        match probe(&directory.join(".layers/staging")) {
            Ok(()) => Ok(Self { backend, named }),
            Err(error) if named => Err(Error::Unsupported {
                what: format!("no overlayfs in {}: {error}", directory.display()),
                remedy: "run: modprobe overlay, or use --image-provisioner-backend=copy".into(),
            }),
            Err(error) => {
                tracing::warn!(%error, "no overlayfs: root filesystems are copied");
                Ok(Self { backend: Backend::Copy, named })
            }
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
