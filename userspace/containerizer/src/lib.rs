//! The containerizer: runs commands in containers of this machine.
//!
//! A [`Containerizer`] turns a [`ContainerSpec`] into a running command with a root
//! filesystem of its own from an OCI image, its own mount, pid, UTS and IPC namespaces, and
//! limits by cgroups, and says how it ended: also when the containerizer was killed
//! meanwhile. Beside each container runs a helper process ([`launch::main`]) that waits for
//! it.
//!
//! Needs Linux 5.14 (`cgroup.kill`), cgroup v2 mounted (v1 controllers may be beside it),
//! and root.

mod attachment;
mod block_io;
mod bytes;
mod capability;
mod cgroup;
mod checkpoint;
mod config;
mod containerizer;
mod error;
mod fetcher;
mod helper;
mod id;
mod id_range;
mod image;
mod isolator;
pub mod launch;
mod limitation;
mod lock;
mod log;
mod logger;
mod pid;
mod readiness;
mod removal;
mod resources;
mod rlimit;
mod seccomp;
mod secret;
mod spec;
mod status;
mod termination;
#[cfg(test)]
mod testing;
pub mod trial;
mod usage;
mod volume;
mod web;

pub use attachment::{Attachment, Input, Output, Stream, WindowSize};
pub use block_io::{BlockIo, DeviceIo, DeviceNumber, Throttle};
pub use bytes::parse_bytes;
pub use capability::CapabilitySet;
pub use config::Config;
pub use containerizer::{Containerizer, Launched, Recovered};
pub use error::{Error, SetupError};
pub use fetcher::{Fetching, FetchingUri, Files, Progress as FetchProgress, Uri};
pub use id::{nested as nested_id, split as split_id, valid as valid_id};
pub use id_range::IdRange;
pub use image::{
    Backend as ImageBackend, Backends as ImageBackends, Collected, Credentials, Exceeded,
    ImageError, ImageLimits, Pulling, Registries, StoredImage, check_image_name,
};
pub use isolator::{Isolation, ProjectRange, gpus};
pub use limitation::{Amount, Cause, Limitation};
pub use log::Log;
pub use logger::{Logger, LogrotateOptions, Rotation};
pub use removal::remove_tree;
pub use resources::{Limit, Resources};
pub use rlimit::{Rlimit, RlimitKind};
pub use secret::{Secret, SecretData};
pub use spec::{CommandSpec, ContainerSpec, Execution, IpcMode, Kind, Origin, SANDBOX, Seccomp};
pub use status::Status;
pub use termination::{ExecStatus, Termination};
pub use usage::{NetworkUsage, Traffic, Usage};
pub use volume::{ImageVolume, Propagation, Volume, VolumeSource};
