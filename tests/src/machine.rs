//! One machine of a cluster.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::cgroup::Cgroup;
use crate::client::Client;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::http::Http;
use crate::netns::NetNs;

/// Port of an agent's `/vips`.
pub const VIP_PORT: u16 = 61421;

/// A network namespace with an address and a master or an agent.
#[derive(Debug)]
pub struct Machine {
    pub(crate) hostname: String,
    pub(crate) netns: NetNs,
    pub(crate) address: IpAddr,
    pub(crate) work: PathBuf,
    pub(crate) daemon: Daemon,
}

impl Machine {
    /// Its host name, such as `a1`: unique in its cluster.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Its name on the whole machine, such as `demo-a1`: of its network namespace, and of its
    /// agent, cgroups and pins.
    pub fn name(&self) -> &str {
        self.netns.name()
    }

    /// Its network namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// Its address on the switch.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Work directory of its master or agent.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Its master or agent.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Requests from it, that do not meet VIPs.
    pub fn http(&self) -> Http {
        Http::from_machine(self.netns.clone())
    }

    /// A client on it that meets VIPs, as its containers do. For agents' machines.
    ///
    /// # Errors
    /// [`crate::Error::System`] when its cgroup can not be made.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(self.netns.clone(), Cgroup::create(&client_cgroup(self.name()))?))
    }
}

/// The cgroup, in the v2 tree, of the clients on the machine `name`.
pub(crate) fn client_cgroup(name: &str) -> String {
    format!("muster/{name}/clients")
}
