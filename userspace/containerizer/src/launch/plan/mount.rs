//! What is mounted in a container.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{IdRange, Propagation, SecretData};

/// Something to be put into a container's tree of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// Where, as the container sees it. Made if missing.
    pub(crate) target: PathBuf,
    /// What.
    pub(crate) what: What,
    /// What cannot be done there.
    pub(crate) attributes: Attributes,
}

/// Sources of mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// A file or directory of the host.
    Host {
        /// Where it is on the host.
        path: PathBuf,
        /// A path below it that is meant, to which no symbolic link may lead: others than the
        /// agent may write there.
        beneath: Option<PathBuf>,
        /// Whether with what is mounted below it.
        recursive: bool,
        /// Which later mounts below it are seen on the other side.
        propagation: Spread,
    },
    /// Layers, uppermost first, below one of the container's own.
    Layers {
        /// Their directories.
        layers: Vec<PathBuf>,
        /// The directory in which `upper` and `work` are.
        scratch: PathBuf,
    },
    /// What is at a path of the container around this one, with what is mounted below it.
    Parent(PathBuf),
    /// A new filesystem of the container's own.
    New {
        /// The kernel's name of its type: `tmpfs`.
        filesystem: String,
        /// Options of that type, as for mount(8).
        options: String,
    },
    /// A file with this text, which only the command's user can read.
    Secret(SecretData),
    /// No mount, but a symbolic link to this path.
    Link(PathBuf),
}

/// Where mounts spread to that are made later below one of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Spread {
    /// Nowhere.
    None,
    /// From the host into the container.
    Inward,
    /// Both ways.
    Both,
}

impl From<Propagation> for Spread {
    fn from(propagation: Propagation) -> Self {
        match propagation {
            Propagation::Private => Self::None,
            Propagation::HostToContainer => Self::Inward,
            Propagation::Bidirectional => Self::Both,
        }
    }
}

/// Attributes of a mount, those of mount(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    /// Nothing can be written.
    pub(crate) read_only: bool,
    /// Set-user-ID bits and file capabilities have no effect.
    pub(crate) no_suid: bool,
    /// Device files have no effect; `false` lets them have one again.
    pub(crate) no_devices: bool,
    /// Nothing can be executed.
    pub(crate) no_exec: bool,
}

impl Attributes {
    /// For data: neither devices nor set-user-ID.
    pub(crate) const DATA: Self =
        Self { read_only: false, no_suid: true, no_devices: true, no_exec: false };
    /// For what is neither executed.
    pub(crate) const QUIET: Self = Self { no_exec: true, ..Self::DATA };

    /// For a device.
    pub(crate) const DEVICE: Self = Self { no_devices: false, ..Self::QUIET };

    /// The same, and nothing can be written.
    pub(crate) const fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }
}

impl Mount {
    /// A new filesystem at `target`.
    pub(crate) fn new(
        filesystem: &str,
        target: impl Into<PathBuf>,
        attributes: Attributes,
        options: impl Into<String>,
    ) -> Self {
        let what = What::New { filesystem: filesystem.to_owned(), options: options.into() };
        Self { target: target.into(), what, attributes }
    }

    /// The host's `path` at `target`, with what is mounted below it.
    pub(crate) fn host(path: &Path, target: impl Into<PathBuf>, attributes: Attributes) -> Self {
        Self::of_host(path, target.into(), attributes, true)
    }

    /// The host's `path` alone at `target`.
    pub(crate) fn file(path: &Path, target: impl Into<PathBuf>, attributes: Attributes) -> Self {
        Self::of_host(path, target.into(), attributes, false)
    }

    fn of_host(path: &Path, target: PathBuf, attributes: Attributes, recursive: bool) -> Self {
        let (path, propagation) = (path.to_owned(), Spread::None);
        let what = What::Host { path, beneath: None, recursive, propagation };
        Self { target, what, attributes }
    }

    /// What is taken from the host; where it comes to be, if that is nothing.
    pub(crate) fn source(&self) -> PathBuf {
        match &self.what {
            What::Host { path, beneath: Some(beneath), .. } => path.join(beneath),
            What::Host { path, .. } | What::Layers { scratch: path, .. } | What::Parent(path) => {
                path.clone()
            }
            What::New { .. } | What::Secret(_) | What::Link(_) => self.target.clone(),
        }
    }

    /// The same; a new filesystem's files are those of the container's root, whom `ids` are.
    pub(crate) fn owned_by(mut self, ids: Option<IdRange>) -> Self {
        if let (Some(ids), What::New { filesystem, options }) = (ids, &mut self.what) {
            let outside = |id| ids.outside(id).unwrap_or_default();
            match filesystem.as_str() {
                "tmpfs" => *options = format!("{options},uid={0},gid={0}", outside(0)),
                "devpts" => {
                    *options = options.replace("gid=5", &format!("gid={}", outside(5)));
                }
                _ => {}
            }
        }
        self
    }

    /// A link to `to` at `target`.
    pub(crate) fn link(to: &str, target: impl Into<PathBuf>) -> Self {
        let what = What::Link(to.into());
        Self { target: target.into(), what, attributes: Attributes::default() }
    }
}
