//! What can go wrong with containers.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::ImageError;

/// A containerizer's refusal or failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something that containers need.
    #[error("{what}; {remedy}")]
    Unsupported {
        /// What is missing.
        what: String,
        /// The command or setting that provides it.
        remedy: String,
    },
    /// A field of the configuration is wrong.
    #[error("{field}: {reason}")]
    Config {
        /// The field of [`crate::Config`].
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// Another containerizer works in the runtime directory.
    #[error(
        "runtime_dir: {path} is in use by another agent; stop it, or give each agent its own --runtime-dir"
    )]
    InUse {
        /// The runtime directory.
        path: PathBuf,
    },
    /// A field of the container's specification is wrong.
    #[error("{field}: {reason}")]
    Spec {
        /// The field of [`crate::ContainerSpec`].
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// There is already a container of that id that has not been destroyed.
    #[error("container {id} exists already; ids are used once")]
    Exists {
        /// The container's id.
        id: String,
    },
    /// There is no container of that id.
    #[error("container {id} is not known here")]
    NotFound {
        /// The container's id.
        id: String,
    },
    /// The container is not running: not yet, or no longer.
    #[error("container {id} is not running")]
    NotRunning {
        /// The container's id.
        id: String,
    },
    /// The container runs, or is being launched.
    #[error("container {id} has not terminated yet")]
    NotEnded {
        /// The container's name.
        id: String,
    },
    /// The container's streams cannot be attached to.
    #[error("container {id} was launched without `attach` and without a terminal")]
    NotAttachable {
        /// The container's name.
        id: String,
    },
    /// A command in a container has ended, and how is not known.
    #[error("container {id} is lost: {reason}")]
    Lost {
        /// The command's own container.
        id: String,
        /// What happened.
        reason: String,
    },
    /// The container was killed or destroyed before its command ran.
    #[error("container {id} was killed while it was being launched")]
    Cancelled {
        /// The container's id.
        id: String,
    },
    /// A file that the container wants in its sandbox cannot be had.
    #[error(
        "Failed to fetch all URIs for container '{container}': Failed to fetch '{uri}': {reason}"
    )]
    Fetch {
        /// The container's id.
        container: String,
        /// Which file.
        uri: String,
        /// Why not.
        reason: String,
    },
    /// The image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The container could not be set up as wanted, or its command not started.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The helper process failed.
    #[error("launch helper {helper}: {reason}")]
    Helper {
        /// The helper program.
        helper: PathBuf,
        /// What happened.
        reason: String,
    },
    /// A program that is an isolator failed.
    #[error("isolator {isolator}: {step}: {reason}")]
    Isolator {
        /// The isolator's name.
        isolator: String,
        /// What it was asked to do.
        step: &'static str,
        /// How it failed, and what it said.
        reason: String,
    },
    /// Two isolators want different things of one container.
    #[error("{field}: {first} has decided it, {second} wants it otherwise")]
    Conflict {
        /// What there is only one of: `environment PATH`, `mount /data`.
        field: String,
        /// Who decided it.
        first: &'static str,
        /// Who wanted something else.
        second: &'static str,
    },
    /// A container is asked for what none of its controllers counts or limits.
    #[error("{group} is not under the cgroup controller {controller}")]
    NoController {
        /// The kernel's name of the controller.
        controller: &'static str,
        /// The container's cgroup in the v2 tree.
        group: PathBuf,
    },
    /// A checkpoint cannot be understood.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The checkpoint's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A system call failed.
    #[error("{operation} {path}: {source}")]
    Io {
        /// The system call or operation.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The runtime that carries this containerizer is shutting down.
    #[error("interrupted: the runtime is shutting down")]
    Interrupted,
}

/// A step of a container's set-up that failed, as the helper reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct SetupError {
    /// What was being done: `mount /proc`, `exec`.
    pub step: String,
    /// The system's answer, or what is wrong.
    pub reason: String,
    /// The error number, when a system call failed.
    pub errno: Option<i32>,
}

impl SetupError {
    /// A failure that is no system call's.
    pub(crate) fn new(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { step: step.into(), reason: reason.into(), errno: None }
    }
}

/// Names the operation and the file of a failed system call.
pub(crate) trait At<T> {
    /// `operation` on `path` is what failed.
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|error| Error::Io {
            operation,
            path: path.as_ref().to_owned(),
            source: error.into(),
        })
    }
}

/// Names the step of the set-up in which a system call failed.
pub(crate) trait Step<T> {
    /// `step` is what failed.
    fn step(self, step: impl FnOnce() -> String) -> Result<T, SetupError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, SetupError> {
        self.map_err(|error| {
            let error = error.into();
            SetupError { step: step(), reason: error.to_string(), errno: error.raw_os_error() }
        })
    }
}
