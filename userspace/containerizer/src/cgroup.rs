//! cgroups: hybrid trees (v1 controllers beside v2) and pure v2 ones.
//!
//! Every container has one directory in every hierarchy that counts or limits it, and in
//! the v2 hierarchy always: that is where eBPF programs attach and where it is killed.

mod controller;
pub(crate) mod file;
mod group;
mod hierarchies;
pub(crate) mod oom;
mod passing;

pub(crate) use controller::{Controller, Version};
pub(crate) use group::{Group, Place, group_name};
#[cfg(test)]
pub(crate) use hierarchies::fake;
pub(crate) use hierarchies::{Hierarchies, inherit};
