//! The state machine, driven directly: inputs in, writes and messages out.

mod agents;
mod frameworks;
mod offers;
mod tasks;
mod views;
mod world;
