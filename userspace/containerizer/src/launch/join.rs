//! Joining a container that is there already.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};

use crate::SetupError;
use crate::error::Step as _;
use crate::pid::ProcessId;

/// The first process of a container that is to be joined.
pub(super) fn open(init: ProcessId) -> Result<OwnedFd, SetupError> {
    let opened = init.open()?;
    opened.ok_or_else(|| SetupError::new("enter the container", "it has ended"))
}

/// Joins all namespaces of the container whose first process is `init`, but that of mounts.
/// This process keeps its own number: that of process numbers is entered by its children.
pub(super) fn namespaces(init: &OwnedFd) -> Result<(), SetupError> {
    let all = ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK;
    move_into_thread_name_spaces(init.as_fd(), all).step(|| "enter the namespaces".into())
}

/// Joins its mounts: this process' root and working directory are its root from now on.
pub(super) fn files(init: &OwnedFd) -> Result<(), SetupError> {
    move_into_thread_name_spaces(init.as_fd(), ThreadNameSpaceType::MOUNT)
        .step(|| "enter the mount namespace".into())
}

/// The way back to this process' own mounts.
pub(super) fn own_files() -> Result<File, SetupError> {
    let path = "/proc/self/ns/mnt";
    File::open(path).step(|| format!("open {path}"))
}

/// Goes that way.
pub(super) fn return_to(own: &File) -> Result<(), SetupError> {
    move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Mount))
        .step(|| "return from the mount namespace".into())
}
