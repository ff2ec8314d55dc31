//! From the cluster view to what the maps should say.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use muster_api::muster::{Backend, Protocol, Vip, VipKey};
use muster_packet::{Endpoint, Pair, Policy, TCP, UDP};
use thiserror::Error;

use crate::table::Weighted;

/// What a VIP is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// By what its backends are chosen, if not as the agent does by default.
    pub(crate) policy: Option<Policy>,
    /// In order.
    pub(crate) backends: Vec<Weighted>,
}

/// A field of a VIP that is impossible or not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The VIP, as text.
    vip: String,
    /// Which field, as a path from the VIP.
    field: String,
    /// Its value.
    value: String,
    /// What is wrong with it.
    reason: Reason,
}

/// A part of the view that is not applied; everything else is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Skipped {
    /// A VIP without a key.
    #[error("VIP {name:?}: has no key")]
    NoKey {
        /// The VIP's name.
        name: String,
    },

    /// A VIP or backend whose field is impossible or not supported.
    #[error("VIP {vip}: {field} {value}: {reason}")]
    Field {
        /// The VIP, as text.
        vip: String,
        /// Which field, as a path from the VIP: `key.port`, `backends[2].address`.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A VIP that is in the view more than once; the first is served.
    #[error("VIP {vip}: more than once in the view")]
    Twice {
        /// The VIP, as text.
        vip: String,
    },

    /// A backend of a VIP whose connections are not counted; it is served.
    #[error("VIP {vip}: backend {backend}: {error}")]
    Count {
        /// The VIP, as text.
        vip: String,
        /// The backend, as text.
        backend: String,
        /// Why, naming the map.
        error: crate::Error,
    },

    /// A VIP without the Maglev table it should have: its clients are spread evenly, and change their
    /// backends with every change.
    #[error("VIP {vip}: without a Maglev table: {error}")]
    Maglev {
        /// The VIP, as text.
        vip: String,
        /// Why, naming the map.
        error: crate::Error,
    },

    /// A VIP that could not be written; it stays as it was.
    #[error("VIP {vip}: {error}")]
    Write {
        /// The VIP, as text.
        vip: String,
        /// Why, naming the map.
        error: crate::Error,
    },
}

// === impl Skipped ===

impl Skipped {
    /// A backend of a VIP that is not counted.
    pub(crate) fn uncounted(of: &Pair, error: crate::Error) -> Self {
        Self::Count { vip: endpoint_text(of.vip), backend: endpoint_text(of.backend), error }
    }

    /// What the kernel said, if the view itself is good.
    pub(crate) fn error(&self) -> Option<&crate::Error> {
        match self {
            Self::Count { error, .. } | Self::Maglev { error, .. } | Self::Write { error, .. } => {
                Some(error)
            }
            Self::NoKey { .. } | Self::Field { .. } | Self::Twice { .. } => None,
        }
    }

    /// The VIP or backend that it is about.
    pub(crate) fn subject(&self) -> &str {
        match self {
            Self::NoKey { name } => name,
            Self::Field { vip, .. }
            | Self::Twice { vip }
            | Self::Maglev { vip, .. }
            | Self::Write { vip, .. } => vip,
            Self::Count { backend, .. } => backend,
        }
    }

    /// What becomes of those like it.
    pub(crate) fn consequence(&self) -> &'static str {
        match self {
            Self::Write { .. } => "VIPs stay as they were",
            Self::Maglev { .. } => "VIPs are served without Maglev tables",
            Self::Count { .. } => "backends are served, but not counted",
            Self::NoKey { .. } | Self::Field { .. } | Self::Twice { .. } => "left out",
        }
    }
}

impl From<&Flaw> for Skipped {
    fn from(flaw: &Flaw) -> Self {
        let Flaw { vip, field, value, reason } = flaw.clone();
        Self::Field { vip, field, value, reason }
    }
}

/// Why a field is refused.
type Reason = &'static str;

/// Where a VIP is.
pub(crate) fn endpoint(key: &VipKey) -> Result<Endpoint, Flaw> {
    let flaw = |field: &str, value: String, reason| {
        let vip = key_text(key);
        Flaw { vip, field: field.to_owned(), value, reason }
    };
    let protocol = match Protocol::try_from(key.protocol) {
        Ok(Protocol::Tcp) => TCP,
        Ok(Protocol::Udp) => UDP,
        _ => {
            let value = key.protocol.to_string();
            return Err(flaw("key.protocol", value, "must be 6 (TCP) or 17 (UDP)"));
        }
    };
    let address = address(&key.address)
        .map_err(|reason| flaw("key.address", format!("{:?}", key.address), reason))?;
    let port = port(key.port).ok_or_else(|| flaw("key.port", key.port.to_string(), PORT))?;
    Ok(Endpoint::at(SocketAddr::new(address, port), protocol))
}

/// What the VIP at an endpoint is to be. What of it cannot be used is left out and named.
pub(crate) fn wanted(vip: &Vip, endpoint: &Endpoint) -> (Wanted, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let mut skip = |field: String, value: String, reason: Reason| {
        flaws.push(Flaw { vip: vip_text(vip), field, value, reason });
    };
    let policy = policy(&vip.policy, &mut skip);
    let backends = backends(&vip.backends, endpoint, &mut skip);
    (Wanted { policy, backends }, flaws)
}

/// `None` for the agent's.
fn policy(name: &str, skip: &mut impl FnMut(String, String, Reason)) -> Option<Policy> {
    let policy = Policy::from_name(name);
    if policy.is_none() && !name.is_empty() {
        // A newer master's, perhaps.
        skip("policy".into(), name.to_owned(), "is not known: the agent's own is used");
    }
    policy
}

fn backends(
    backends: &[Backend],
    vip: &Endpoint,
    skip: &mut impl FnMut(String, String, Reason),
) -> Vec<Weighted> {
    let mut seen = BTreeSet::new();
    let mut usable = Vec::with_capacity(backends.len());
    for (index, backend) in backends.iter().enumerate() {
        let address = match address(&backend.address) {
            Ok(address) => address,
            Err(reason) => {
                skip(
                    format!("backends[{index}].address"),
                    format!("{:?}", backend.address),
                    reason,
                );
                continue;
            }
        };
        let Some(port) = port(backend.port) else {
            skip(format!("backends[{index}].port"), backend.port.to_string(), PORT);
            continue;
        };
        let address = SocketAddr::new(address, port);
        let endpoint = Endpoint::at(address, vip.protocol);
        if let Some(reason) = unreachable(vip, &endpoint) {
            skip(format!("backends[{index}]"), address.to_string(), reason);
        } else if seen.insert(endpoint) {
            usable.push((endpoint, backend.weight));
        } else {
            skip(format!("backends[{index}]"), address.to_string(), "is there already");
        }
    }
    // The view is sorted as well; equal sets then make equal tables whoever made the view.
    usable.sort_unstable();
    usable
}

const PORT: Reason = "must be 1 to 65535";

fn port(port: u32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

/// An address that a socket can be connected to. One that maps an IPv4 address is that one.
fn address(text: &str) -> Result<IpAddr, Reason> {
    let Ok(address) = text.parse::<IpAddr>() else { return Err("is no IP address") };
    match address.to_canonical() {
        address if address.is_unspecified() || address.is_multicast() => Err("is no destination"),
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            Err("means another machine on each interface")
        }
        address => Ok(address),
    }
}

/// Why sockets that can ask for the VIP cannot be connected to the backend instead.
fn unreachable(vip: &Endpoint, backend: &Endpoint) -> Option<Reason> {
    match (vip.ipv4(), backend.ipv4()) {
        (Some(_), None) => Some("has an IPv6 address, and the VIP an IPv4 address"),
        // The kernel refuses (ENOTSUPP) to send to an IPv4 address what was meant for an IPv6
        // address.
        (None, Some(_)) if vip.protocol == UDP => {
            Some("has an IPv4 address, and the VIP an IPv6 address and UDP")
        }
        _ => None,
    }
}

/// A VIP as messages name it: `11.0.0.1:80/tcp`, `[fd01:c::1]:80/tcp`.
pub(crate) fn text(address: &str, port: u32, protocol: i32) -> String {
    let protocol = match Protocol::try_from(protocol) {
        Ok(Protocol::Tcp) => "tcp".to_owned(),
        Ok(Protocol::Udp) => "udp".to_owned(),
        _ => protocol.to_string(),
    };
    if address.contains(':') {
        return format!("[{address}]:{port}/{protocol}");
    }
    format!("{address}:{port}/{protocol}")
}

/// [`text`] of a VIP of the view.
pub(crate) fn vip_text(vip: &Vip) -> String {
    vip.key.as_ref().map_or_else(String::new, key_text)
}

/// [`text`] of a key.
pub(crate) fn key_text(key: &VipKey) -> String {
    text(&key.address, key.port, key.protocol)
}

/// [`text`] of an endpoint.
pub(crate) fn endpoint_text(endpoint: Endpoint) -> String {
    let address = endpoint.socket_address().ip().to_string();
    text(&address, u32::from(endpoint.port), i32::from(endpoint.protocol))
}
