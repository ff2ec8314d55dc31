//! The store: what must survive, in tables of string keys and byte values.
//!
//! The master's registry, the services' applications and an agent's checkpoints all
//! live in a [`Store`]. A [`Batch`] is atomic, and durable when [`Store::commit`]
//! returns: whoever writes ahead commits first and tells others afterwards.
//!
//! [`Redb`] keeps everything in one file; [`Memory`] keeps it nowhere, for simulation.
#![forbid(unsafe_code)]

mod batch;
mod error;
mod memory;
mod redb;
mod room;

pub use batch::{Batch, Change};
pub use error::Error;
pub use memory::Memory;

pub use crate::redb::Redb;

/// Tables of string keys and byte values, written in atomic batches.
pub trait Store: Send + Sync {
    /// Every row of `table` in key order; none when the table was never written.
    ///
    /// # Errors
    /// [`Error`] when the rows cannot be read.
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error>;

    /// Applies `batch`: all of it or nothing. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written, as on a full disk; nothing has changed then.
    fn commit(&self, batch: Batch) -> Result<(), Error>;
}
