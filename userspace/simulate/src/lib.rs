//! What if: the allocator driven by a file of commands, one JSON object a line, each answered
//! by one.
//!
//! [`Simulator::line`] takes a line and gives the answer. Time is virtual and moves only by the
//! command `advance`; a cycle runs only by `allocate`; the same lines have the same answers.
//! `docs/simulate.md` says what commands there are.
//!
//! ```
//! let mut simulator = muster_simulate::Simulator::new();
//! simulator.line(r#"{"add_agent":{"id":"a1","resources":"cpus:4;mem:4096"}}"#)?;
//! simulator.line(r#"{"add_framework":{"id":"f1","roles":["role"]}}"#)?;
//! let answer = simulator.line(r#"{"allocate":{}}"#)?;
//! let offer = r#"{"framework":"f1","role":"role","agent":"a1","resources":"cpus:4;mem:4096"}"#;
//! assert_eq!(answer, Some(format!(r#"{{"offers":[{offer}],"inverse_offers":[]}}"#)));
//! # Ok::<(), muster_simulate::Error>(())
//! ```
//!
//! Everything here is pure: no clock, no I/O, no randomness but that of a seed.
#![forbid(unsafe_code)]

mod amounts;
mod command;
mod constraints;
mod error;
mod history;
mod labels;
mod place;
mod plot;
mod seconds;
mod simulator;
mod stuff;

pub use error::{Error, Problem};
pub use history::{History, Series};
pub use place::Place;
pub use plot::plot;
pub use simulator::Simulator;
