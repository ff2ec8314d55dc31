//! `namespaces/…`: what a container does not see of others.

pub(super) mod ipc;
pub(super) mod pid;
