//! How an instance shows that it works.

use serde::{Deserialize, Serialize};

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "camelCase")]
pub enum Probe {
    /// `MESOS_HTTP`, `MESOS_HTTPS`: GET `path`; 200 to 399 is healthy.
    Http {
        /// The request path, with a leading slash.
        path: String,
        /// Whether over TLS, whose certificate is not verified.
        #[serde(default)]
        tls: bool,
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

impl HealthCheck {
    /// Failures in a row of which the last one is too many.
    pub fn limit(&self) -> u32 {
        match self.max_consecutive_failures {
            0 if self.by_marathon => u32::MAX,
            0 => 1,
            limit => limit,
        }
    }

    /// `protocol`, as the API writes it.
    pub fn protocol(&self) -> &'static str {
        match (&self.probe, self.by_marathon) {
            (Probe::Command { .. }, _) => "COMMAND",
            (Probe::Tcp { .. }, false) => "MESOS_TCP",
            (Probe::Tcp { .. }, true) => "TCP",
            (Probe::Http { tls: false, .. }, false) => "MESOS_HTTP",
            (Probe::Http { tls: false, .. }, true) => "HTTP",
            (Probe::Http { tls: true, .. }, false) => "MESOS_HTTPS",
            (Probe::Http { tls: true, .. }, true) => "HTTPS",
        }
    }
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
    /// Whether it was asked for by the name of a check that Marathon makes itself: `HTTP`,
    /// `HTTPS`, `TCP`. Then 0 failures are never too many.
    #[serde(default)]
    pub by_marathon: bool,
    /// Whether it connects over IPv6.
    #[serde(default)]
    pub ipv6: bool,
}
