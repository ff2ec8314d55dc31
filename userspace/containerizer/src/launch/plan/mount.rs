//! What is mounted in a container.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
        /// Whether with what is mounted below it.
        recursive: bool,
    },
    /// A new filesystem of the container's own.
    New {
        /// The kernel's name of its type: `tmpfs`.
        filesystem: String,
        /// Options of that type, as for mount(8).
        options: String,
    },
    /// No mount, but a symbolic link to this path.
    Link(PathBuf),
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
        let what = What::Host { path: path.to_owned(), recursive: true };
        Self { target: target.into(), what, attributes }
    }

    /// The host's `path` alone at `target`.
    pub(crate) fn file(path: &Path, target: impl Into<PathBuf>, attributes: Attributes) -> Self {
        let what = What::Host { path: path.to_owned(), recursive: false };
        Self { target: target.into(), what, attributes }
    }

    /// A link to `to` at `target`.
    pub(crate) fn link(to: &str, target: impl Into<PathBuf>) -> Self {
        let what = What::Link(to.into());
        Self { target: target.into(), what, attributes: Attributes::default() }
    }
}
