//! What can go wrong with an agent as a whole.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why an agent does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag's value makes no sense.
    #[error("--{flag} {value:?}: {problem}")]
    Flag {
        /// The flag, without dashes.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error(
        "--{flag}: cannot listen on {address}: {source}; give another port with --{flag}, or stop what listens there"
    )]
    Listen {
        /// The flag that sets the port, without dashes.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The checkpoints cannot be opened or read.
    #[error(transparent)]
    Store(#[from] muster_store::Error),
    /// A checkpoint makes no sense.
    #[error(
        "agent.redb, {table}/{key}: {problem}; run once with --recover cleanup to start anew, which ends this agent's tasks"
    )]
    Checkpoint {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with the row.
        problem: String,
    },
}
#[allow(dead_code)]
fn _x(_: PathBuf) {}
