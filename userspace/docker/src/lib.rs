//! The Docker containerizer: runs tasks in containers of a Docker engine of this machine.
//!
//! [`Docker`] speaks the Engine API (1.41 or later, so Docker 20.10) over the engine's Unix
//! socket. What an agent has to know again after it was killed is in the engine: every
//! container carries labels that say whose it is ([`label`]). Its own checkpoint says only
//! which containers are to be looked for.
#![forbid(unsafe_code)]

mod cgroups;
mod checkpoint;
mod config;
mod docker;
mod engine;
mod error;
mod image;
pub mod label;
mod parameters;
mod position;
mod pull;
mod request;
mod spec;

pub use cgroups::{Cgroups, Slice};
pub use config::Config;
pub use docker::{About, Docker, Launched, Recovered};
pub use error::Error;
pub use parameters::{InvalidParameter, Parameters};
pub use spec::{Container, Network, Port, Protocol, Source, Volume};
