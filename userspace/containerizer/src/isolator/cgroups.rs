//! `cgroups/…`: limits of the kernel's, and its counters.

pub(super) mod blkio;
pub(super) mod cpu;
pub(super) mod cpuset;
pub(super) mod devices;
pub(super) mod mem;
pub(super) mod pids;

pub(crate) use mem::exceeded;
