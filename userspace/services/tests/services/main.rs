//! The services framework, driven from both of its sides: as the master does, and as its
//! users do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::needless_pass_by_value, reason = "what tests make up is used once")]
#![allow(clippy::duration_suboptimal_units, reason = "seconds are what is configured")]

mod backoff;
mod checks;
mod definitions;
mod deployments;
mod docker;
mod health;
mod http;
mod offers;
mod queue;
mod readiness;
mod restart;
mod shell;
mod simulation;
mod tasks;
mod unreachable;
mod updates;
mod versions;
mod world;
