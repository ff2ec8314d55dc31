//! `posix/…`: what needs no cgroup controller.

pub(super) mod cpu;
pub(super) mod mem;
pub(super) mod rlimits;
