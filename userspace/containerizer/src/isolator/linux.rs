//! `linux/…`: what a command may do.

pub(super) mod capabilities;
pub(super) mod nnp;
pub(super) mod seccomp;
