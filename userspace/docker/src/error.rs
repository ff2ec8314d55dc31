//! What can go wrong with a container of the engine.

use std::io;
use std::path::PathBuf;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not answer.
    #[error("the Docker engine at {} does not answer: {reason}", socket.display())]
    NoEngine {
        /// Its socket.
        socket: PathBuf,
        /// What came of asking.
        reason: String,
    },
    /// The engine said no.
    #[error("docker {action}: {reason}")]
    Refused {
        /// What it was asked for: `create`, `start`.
        action: &'static str,
        /// Its status code.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// The engine's answer makes no sense, or it did not come in time.
    #[error("docker {action}: {reason}")]
    Failed {
        /// What it was asked for.
        action: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A file for its sandbox cannot be had.
    #[error(transparent)]
    Fetch(#[from] muster_containerizer::Error),
    /// The image cannot be had.
    #[error("docker pull {image}: {reason}")]
    Pull {
        /// Its name.
        image: String,
        /// What the registry or the engine said.
        reason: String,
    },
    /// A field of the container that makes no sense.
    #[error("{field} {reason}")]
    Spec {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a container of that id.
    #[error("there is a container {id}")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is no such container.
    #[error("there is no container {id}")]
    NotFound {
        /// The id.
        id: String,
    },
    /// The container does not run.
    #[error("container {id} does not run")]
    NotRunning {
        /// The id.
        id: String,
    },
    /// The container was killed before its command ran.
    #[error("killed before it was started")]
    Cancelled,
    /// A system call failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried: `write`, `open`.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A checkpoint makes no sense.
    #[error("checkpoint {}: {reason}; remove it, and the container if it is there", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The work was given up because the process ends.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether the engine has no such container or image.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine says that the container is not in the state for it, or is already.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 304, .. })
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
