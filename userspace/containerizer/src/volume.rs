//! Files and directories that a container is given.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Secret, SecretData};

/// A file or directory at a place in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Where it is inside. A relative path is below the sandbox. Made if missing, but without
    /// an image an absolute one has to be there.
    pub container_path: PathBuf,
    /// What it is.
    pub source: VolumeSource,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// What there is in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// A file or directory of the host, with all that is mounted below it.
    HostPath {
        /// Its absolute path.
        path: PathBuf,
        /// Whose later mounts below it are seen by whom.
        propagation: Propagation,
    },
    /// A file or directory in a sandbox; a directory is made if it is missing.
    SandboxPath {
        /// Its path in that sandbox, without `..`.
        path: PathBuf,
        /// Whether the sandbox is that of the container around this one.
        parent: bool,
    },
    /// The root filesystem of another image; what is written there goes with the container.
    Image(ImageVolume),
    /// A file with this text, in memory, for the command's user alone.
    Secret(SecretData),
}

/// An image whose root filesystem is a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageVolume {
    /// The image: `name[:tag][@digest]`.
    pub name: String,
    /// Docker's `config.json` with the credentials of its registry; `None` is the agent's.
    pub config: Option<Secret>,
    /// Whether its registry is asked what its tag stands for though it was pulled before.
    pub force_pull: bool,
}

/// Whose later mounts below a volume are seen by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Each side sees its own.
    #[default]
    Private,
    /// The container sees the host's.
    HostToContainer,
    /// Each side sees the other's.
    Bidirectional,
}

impl Volume {
    /// Checks what can be judged by itself.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Spec { field: "volumes", reason });
        let inside = &self.container_path;
        let below = inside.strip_prefix("/").unwrap_or(inside);
        if !is_plain(below) {
            return refuse(format!("`{}` is no place in a container", inside.display()));
        }
        match &self.source {
            VolumeSource::HostPath { path, .. } => match path.strip_prefix("/") {
                Ok(below) if below.as_os_str().is_empty() || is_plain(below) => Ok(()),
                _ => refuse(format!("`{}` is no absolute path without `..`", path.display())),
            },
            VolumeSource::SandboxPath { path, .. } if !is_plain(path) => {
                refuse(format!("`{}` is no path in a sandbox", path.display()))
            }
            VolumeSource::Secret(secret) if secret.reveal().len() > SecretData::MAX => {
                refuse(format!("the secret for `{}` has more than 1 MB", inside.display()))
            }
            VolumeSource::SandboxPath { .. } | VolumeSource::Image(_) | VolumeSource::Secret(_) => {
                Ok(())
            }
        }
    }

    /// The isolator that sees to it.
    pub(crate) fn isolator(&self) -> &'static str {
        match self.source {
            VolumeSource::HostPath { .. } => "volume/host_path",
            VolumeSource::SandboxPath { .. } => "volume/sandbox_path",
            VolumeSource::Image(_) => "volume/image",
            VolumeSource::Secret(_) => "volume/secret",
        }
    }
}

/// Whether `path` is relative and goes only downwards, and does go somewhere.
fn is_plain(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(inside: &str, source: VolumeSource) -> bool {
        let container_path = inside.into();
        Volume { container_path, source, read_only: false }.validate().is_err()
    }

    #[test]
    fn paths_lead_only_downwards() {
        let host = |path: &str| VolumeSource::HostPath {
            path: path.into(),
            propagation: Propagation::Private,
        };
        let sandbox = |path: &str| VolumeSource::SandboxPath { path: path.into(), parent: false };
        for inside in ["/data", "data", "/a/b", "a/./b", "a/"] {
            assert!(!refused(inside, host("/x")), "{inside}");
        }
        for inside in ["", "/", "..", "/a/../b", "./a", "a\0b"] {
            assert!(refused(inside, host("/x")), "{inside}");
        }
        assert!(!refused("a", host("/")));
        assert!(refused("a", host("x")) && refused("a", host("/a/../b")));
        assert!(!refused("a", sandbox("x/y")));
        assert!(refused("a", sandbox("/x")) && refused("a", sandbox("../x")));
        assert!(refused("a", sandbox("")));
        let secret = |size: usize| VolumeSource::Secret(SecretData::new(vec![0; size]));
        assert!(!refused("a", secret(1 << 20)) && refused("a", secret((1 << 20) + 1)));
    }
}
