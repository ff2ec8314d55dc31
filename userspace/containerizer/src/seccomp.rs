//! Filters of system calls, seccomp(2): profiles in Docker's and OCI's format, compiled to BPF
//! for one container.
//!
//! The filter is made by the agent, so that a profile that is wrong is refused before anything
//! of the container is there; its helper only loads it.

mod architecture;
mod assembly;
mod compiler;
mod filter;
mod guard;
mod profile;
#[cfg(test)]
mod simulation;

pub(crate) use compiler::Surroundings;
pub(crate) use filter::{Filter, Instruction};
pub(crate) use guard::projects;
pub(crate) use profile::Profile;
