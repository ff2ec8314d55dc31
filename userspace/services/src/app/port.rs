//! Ports that an application asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A port's transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "tcp")]
    Tcp,
    /// UDP.
    #[serde(rename = "udp")]
    Udp,
    /// Both, on one number.
    #[serde(rename = "udp,tcp")]
    UdpTcp,
}

impl Protocol {
    /// As the API writes it: `tcp`, `udp` or `udp,tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpTcp => "udp,tcp",
        }
    }

    /// The single protocols in it.
    pub fn each(self) -> impl Iterator<Item = &'static str> {
        self.as_str().split(',')
    }
}

/// One port that each instance gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// With `requirePorts` the host port itself; otherwise the service port, a number
    /// for load balancers that is unique in the cluster, while the host port comes
    /// from the offer. 0 asks for one to be chosen. Of a port that is mapped it is always the
    /// service port.
    pub port: u16,
    /// TCP, UDP or both.
    pub protocol: Protocol,
    /// Unique in the application.
    pub name: Option<String>,
    /// Copied to the task's discovery information; `VIP_…` labels ask for virtual addresses.
    pub labels: BTreeMap<String, String>,
    /// Where the port leads to in a container's own network.
    #[serde(default)]
    pub mapping: Option<Mapping>,
}

/// A port of a container's own network, and the host's that leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// The container's; 0 is the same number as the host's.
    pub container_port: u16,
    /// The host's: 0 is one of the offer's, and `None` that there is none.
    pub host_port: Option<u16>,
}

/// What an instance needs as a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// None.
    None,
    /// Any.
    Any,
    /// This one.
    Fixed(u16),
}

impl PortDefinition {
    /// The host port that an instance needs; `require` is the application's `requirePorts`.
    pub fn host_port(&self, require: bool) -> HostPort {
        match self.mapping {
            None if require && self.port != 0 => HostPort::Fixed(self.port),
            None | Some(Mapping { host_port: Some(0), .. }) => HostPort::Any,
            Some(Mapping { host_port: None, .. }) => HostPort::None,
            Some(Mapping { host_port: Some(port), .. }) => HostPort::Fixed(port),
        }
    }

    /// The port that is listened on where the instance is, which has this host port; 0 is none.
    pub fn inside(&self, host_port: u16) -> u16 {
        match self.mapping {
            Some(Mapping { container_port, .. }) if container_port != 0 => container_port,
            _ => host_port,
        }
    }
}
