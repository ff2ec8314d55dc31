//! How an instance shows that it works.

use serde::{Deserialize, Serialize};

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "camelCase")]
pub enum Probe {
    /// `MESOS_HTTP`: GET `path`; 200 to 399 is healthy.
    Http {
        /// The request path, with a leading slash.
        path: String,
        /// Where.
        port: ProbePort,
    },
    /// `MESOS_TCP`: a connection.
    Tcp {
        /// Where.
        port: ProbePort,
    },
    /// `COMMAND`: a shell command inside the container; exit status 0 is healthy.
    Command {
        /// The command line.
        value: String,
    },
}

/// The port that is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbePort {
    /// The host port given to the port definition of this index.
    Index(usize),
    /// This number.
    Number(u16),
}

/// A health check that the agent runs. All times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// What is tried.
    pub probe: Probe,
    /// Failures this soon after the start do not count, until the first success.
    pub grace_period_seconds: u32,
    /// From one try to the next.
    pub interval_seconds: u32,
    /// After how long a try has failed.
    pub timeout_seconds: u32,
    /// From the start to the first try.
    pub delay_seconds: u32,
    /// After this many failures in a row the instance is killed and replaced.
    pub max_consecutive_failures: u32,
}
