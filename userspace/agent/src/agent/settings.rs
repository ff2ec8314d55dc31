//! Who an agent is.

use std::net::IpAddr;
use std::path::PathBuf;

use muster_api::mesos::{AgentInfo, Attribute};
use muster_resources::Resources;

use super::Patience;
use crate::Containerizers;

/// What does not change while an agent runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The machine's name in the cluster.
    pub hostname: String,
    /// Address that other machines reach this one at.
    pub address: IpAddr,
    /// Port of the agent's HTTP interface.
    pub port: u16,
    /// What the machine offers.
    pub resources: Resources,
    /// What frameworks may choose the machine by.
    pub attributes: Vec<Attribute>,
    /// Where the sandboxes are.
    pub work_dir: PathBuf,
    /// Version of this software.
    pub version: String,
    /// Random text of this process: tells a second agent of the same name from this one
    /// dialling again.
    pub incarnation: String,
    /// How long it waits for executors.
    pub patience: Patience,
    /// Who runs containers.
    pub containerizers: Containerizers,
}

impl Settings {
    /// The sandbox of an operator's container that is in no other, as in Mesos.
    pub(crate) fn operated_sandbox(&self, id: &str) -> PathBuf {
        self.work_dir.join("containers").join(id)
    }

    /// What the master is told about the machine; without an id before it gave one.
    pub(crate) fn info(&self, id: Option<&str>) -> AgentInfo {
        AgentInfo {
            hostname: self.hostname.clone(),
            resources: self.resources.to_proto(),
            attributes: self.attributes.clone(),
            id: id.map(Into::into),
            port: Some(self.port.into()),
            domain: None,
        }
    }
}
