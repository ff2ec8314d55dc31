//! Containers on the real kernel. Needs root, cgroups with cpu and memory, and
//! busybox-static.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod commands;
mod image;
mod images;
mod life;
mod limits;
mod namespaces;
mod recovery;
mod surroundings;
mod volumes;
mod world;
