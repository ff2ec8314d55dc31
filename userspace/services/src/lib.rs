//! Long-running services: a framework that keeps applications running, with Marathon's
//! `/v2` API.
//!
//! It talks to the master only in Mesos' v1 scheduler calls and events, so that it could
//! as well run elsewhere. [`start`] is what the master's process calls; below it lies
//! [`scheduler::Scheduler`], a state machine without I/O that tests and simulations drive.
//!
//! An application's way through the crate: [`definition`] reads what a user wrote into an
//! [`app::App`]; the [`scheduler`] puts it on record and begins a
//! [`deployment::Deployment`]; [`deployment::plan`] says how many instances are missing;
//! [`matching`] places them on offers; [`task`] makes the tasks; status updates become
//! the state of each [`instance::Instance`].
#![forbid(unsafe_code)]

pub mod app;
mod config;
pub mod definition;
pub mod deployment;
mod error;
mod fleet;
mod http;
pub mod ids;
pub mod instance;
pub mod matching;
pub mod offer;
pub mod reader;
pub mod records;
pub mod reply;
pub mod request;
pub mod scheduler;
mod serve;
mod shell;
pub mod task;
mod timestamp;
mod view;

pub use config::Config;
pub use error::Error;
pub use shell::{Connection, Services, start, start_reconnecting};
pub use timestamp::Timestamp;
