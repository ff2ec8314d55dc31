//! What can go wrong with an agent as a whole.

use std::io;
use std::net::SocketAddr;

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
        source: io::Error,
    },
    /// The machine has no cgroup v2 tree, which the VIPs' programs are attached to.
    #[error(
        "no cgroup v2 tree is mounted; mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
    )]
    NoCgroup2,
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// The call.
        call: &'static str,
        /// The system's answer.
        source: io::Error,
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
    /// Containers cannot be run, recovered or removed.
    #[error("containerizer: {0}")]
    Containerizer(#[from] muster_containerizer::Error),
    /// The containers of the Docker engine cannot be recovered or removed.
    #[error("Docker: {0}")]
    Docker(#[from] muster_docker::Error),
    /// The data plane cannot be opened or removed.
    #[error("data plane: {0}")]
    DataPlane(#[from] muster_dataplane::Error),
    /// One of the agent's own tasks has panicked, so that its state cannot be trusted.
    /// Another start recovers from the checkpoints.
    #[error("internal error: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}
