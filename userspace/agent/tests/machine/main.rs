//! Agents on the real kernel: containers, VIPs, checkpoints, and a master that the test
//! plays. Needs root, cgroups with cpu and memory, and bash; busybox-static, docker-registry,
//! skopeo and umoci for images.
//!
//! Every test has a network and a mount namespace of its own, so nothing it sends leaves
//! the machine, and its mounts go with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bad_input;
mod checks;
mod crashes;
mod docker;
mod dockerd;
mod engine_files;
mod engine_logs;
mod engine_machine;
mod engines;
mod executors;
mod fetches;
mod groups;
mod health;
mod http;
mod images;
mod life;
mod master;
mod operated;
mod operator;
mod sessions;
mod site;
mod streams;
mod tasks;
mod terminals;
mod vips;
