//! The master: the kernel of the cluster.
//!
//! [`core::Master`] is the state machine: agents, frameworks, offers, tasks and the
//! cluster view. Around it, [`Kernel`] runs it on a thread of its own against the
//! registry, [`link`] serves the agents, [`Kernel::connect`] the frameworks in this
//! process, and [`http`] whoever asks.
#![forbid(unsafe_code)]

mod claims;
pub mod core;
mod error;
pub mod http;
mod kernel;
pub mod link;
mod quota;
pub mod registry;
pub mod view;
pub mod whitelist;

pub use error::Error;
pub use kernel::{Kernel, Scheduler};
