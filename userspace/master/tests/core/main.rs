//! The state machine, driven directly: inputs in, writes and messages out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod agents;
mod allocation;
mod executors;
mod frameworks;
mod maintenance;
mod offers;
mod quotas;
mod rescinding;
mod roles;
mod tasks;
mod views;
mod weights;
mod world;
