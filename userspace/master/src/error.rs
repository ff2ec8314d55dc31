//! What can go wrong in the master.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The master cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry's store.
    #[error("registry: {0}")]
    Store(#[from] muster_store::Error),
    /// A row that this version cannot make sense of.
    #[error("registry: row {key:?} of {table} cannot be read: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored VIP address contradicts another.
    #[error("registry: {0}")]
    Vip(#[from] muster_network::vip::PoolError),
    /// A listening socket.
    #[error("cannot listen on {address} ({flag}): {source}")]
    Listen {
        /// The flag that chose it.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file of machines that may be offered.
    #[error("--whitelist: {}: {source}", path.display())]
    Whitelist {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The master's thread cannot be started.
    #[error("cannot start the master's thread: {0}")]
    Thread(std::io::Error),
    /// Nothing can be written, so nothing may change.
    #[error("nothing is changed while the registry cannot be written: {0}")]
    Stalled(String),
    /// The master no longer answers.
    #[error("the master's thread has ended")]
    Stopped,
}
