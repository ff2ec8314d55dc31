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

/// One host port that each instance gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// With `requirePorts` the host port itself; otherwise the service port, a number
    /// for load balancers that is unique in the cluster, while the host port comes
    /// from the offer. 0 asks for one to be chosen.
    pub port: u16,
    /// TCP, UDP or both.
    pub protocol: Protocol,
    /// Unique in the application.
    pub name: Option<String>,
    /// Copied to the task's discovery information; `VIP_…` labels ask for virtual addresses.
    pub labels: BTreeMap<String, String>,
}
