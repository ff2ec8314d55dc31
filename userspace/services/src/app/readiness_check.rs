//! How an instance shows that it is ready for what a deployment does next.

use serde::{Deserialize, Serialize};

/// A readiness check. It is made from outside, at a host port, until it succeeds once; all times
/// are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// Its name.
    pub name: String,
    /// Whether over TLS (`HTTPS`), whose certificate is not verified.
    pub tls: bool,
    /// The request path, with a leading slash.
    pub path: String,
    /// The name of the port; one of the application's.
    pub port_name: String,
    /// From one try to the next.
    pub interval_seconds: u32,
    /// After how long a try has failed.
    pub timeout_seconds: u32,
    /// The statuses that show it to be ready, each once.
    pub http_status_codes_for_ready: Vec<u16>,
    /// Whether the last answer is shown.
    pub preserve_last_response: bool,
}

impl ReadinessCheck {
    /// `protocol`, as the API writes it.
    pub fn protocol(&self) -> &'static str {
        if self.tls { "HTTPS" } else { "HTTP" }
    }
}
