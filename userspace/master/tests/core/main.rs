//! The state machine, driven directly: inputs in, writes and messages out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod agents;
mod frameworks;
mod offers;
mod tasks;
mod views;
mod world;
