//! What the master can be told to do differently.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use muster_allocator::ConstraintLimits;
use muster_api::mesos::DomainInfo;

/// Settings of a master.
#[derive(Clone, Debug)]
pub struct Options {
    /// Random, new at every start: the prefix of all ids and the view's epoch.
    pub master_id: String,
    /// Name of this machine, told to frameworks.
    pub hostname: String,
    /// Address and port of the HTTP interface, told to frameworks.
    pub address: SocketAddr,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Where this machine is. Its region takes the place of the allocator's.
    pub domain: Option<DomainInfo>,
    /// How resources are offered.
    pub allocator: muster_allocator::Options,
    /// Roles that there may be, beside `*`; all of them when `None`.
    pub roles: Option<BTreeSet<String>>,
    /// What regular expressions in offer constraints may cost.
    pub constraint_limits: ConstraintLimits,
    /// Offers not answered for so long are rescinded; never when `None`.
    pub offer_timeout: Option<Duration>,
    /// Time between pings of one agent.
    pub agent_ping_timeout: Duration,
    /// So many unanswered pings in a row make an agent unreachable.
    pub max_agent_ping_timeouts: u32,
    /// How long an agent may be away before its tasks are given up.
    pub agent_reregister_timeout: Duration,
    /// The flags that all this came from, as operators are shown them.
    pub flags: BTreeMap<String, String>,
}

impl Options {
    /// Mesos' defaults.
    pub fn new(master_id: String, hostname: String, address: SocketAddr) -> Self {
        Self {
            master_id,
            hostname,
            address,
            cluster: None,
            domain: None,
            allocator: muster_allocator::Options::default(),
            roles: None,
            constraint_limits: ConstraintLimits::default(),
            offer_timeout: None,
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_mins(10),
            flags: BTreeMap::new(),
        }
    }

    /// Whether there may be such a role.
    pub(crate) fn allows_role(&self, role: &str) -> bool {
        role == "*" || self.roles.as_ref().is_none_or(|roles| roles.contains(role))
    }
}
