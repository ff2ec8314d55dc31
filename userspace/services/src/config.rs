//! How the services are set up.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Settings of the services framework. The defaults are Marathon's where it has them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The framework's name, which ends up in DNS and in named VIPs.
    pub framework_name: String,
    /// The host it runs on, as the master and `/v2/leader` show it.
    pub hostname: String,
    /// The port its HTTP API is served on, as `/v2/leader` shows it.
    pub http_port: u16,
    /// The role it subscribes with.
    pub role: String,
    /// The user that tasks run as unless their application says otherwise.
    pub user: String,
    /// How long the master keeps the tasks of a framework that has gone away.
    pub failover_timeout: Duration,
    /// Instances of one application launched on one offer at a time: the rest goes to
    /// other agents, or to this one's next offer.
    pub max_instances_per_offer: usize,
    /// How long an offer is refused when nothing is waiting for one.
    pub decline_offer_duration: Duration,
    /// How long an offer is refused that does not suit what is waiting.
    pub decline_unsuitable_duration: Duration,
    /// The least time between two REVIVE calls. (Marathon: 5 s; here the master revives
    /// in microseconds, and waiting would only delay launches.)
    pub min_revive_offers_interval: Duration,
    /// From one reconciliation of all tasks to the next.
    pub reconciliation_interval: Duration,
    /// How soon instances of unknown fate are asked for again; doubles to a minute.
    pub reconciliation_retry: Duration,
    /// How soon a kill is repeated while the instance lives.
    pub kill_retry_timeout: Duration,
    /// Deployments at a time.
    pub max_running_deployments: usize,
    /// Versions kept of each application; those that instances still run stay too.
    pub max_versions: usize,
    /// Where service ports are chosen from.
    pub service_ports: RangeInclusive<u16>,
}

impl Config {
    /// The default settings on the host called `hostname`.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            framework_name: "marathon".into(),
            hostname: hostname.into(),
            http_port: 8080,
            role: "*".into(),
            user: "root".into(),
            failover_timeout: Duration::from_hours(24 * 7),
            max_instances_per_offer: 5,
            decline_offer_duration: Duration::from_mins(2),
            decline_unsuitable_duration: Duration::from_secs(5),
            min_revive_offers_interval: Duration::from_secs(1),
            reconciliation_interval: Duration::from_mins(10),
            reconciliation_retry: Duration::from_secs(5),
            kill_retry_timeout: Duration::from_secs(10),
            max_running_deployments: 100,
            max_versions: 50,
            service_ports: 10_000..=20_000,
        }
    }

    /// `host:port` of the HTTP API.
    pub fn leader(&self) -> String {
        format!("{}:{}", self.hostname, self.http_port)
    }
}

impl Default for Config {
    /// The default settings on `localhost`.
    fn default() -> Self {
        Self::new("localhost")
    }
}
