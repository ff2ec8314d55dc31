//! The interfaces of this machine, or rather of this network namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use nix::{
    ifaddrs::getifaddrs,
    net::if_::{InterfaceFlags, if_nametoindex},
};

use crate::Error;

/// An interface that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// The kernel's number of it: another one for one that is made anew.
    pub(crate) index: u32,
    /// True of `lo`.
    pub(crate) loopback: bool,
    /// Its addresses, in the kernel's order.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The interfaces that are there, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices(BTreeMap<String, Device>);

// === impl Devices ===

impl Devices {
    /// Asks the kernel, by rtnetlink.
    pub(crate) fn read() -> Result<Self, Error> {
        let entries = getifaddrs()
            .map_err(|errno| Error::Call { call: "getifaddrs", source: errno.into() })?;
        let mut devices = BTreeMap::<String, Device>::new();
        for entry in entries {
            // Addresses may have a label: `eth0:1`.
            let name = entry.interface_name.split(':').next().unwrap_or_default();
            let device = devices.entry(name.to_owned()).or_default();
            device.loopback |= entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            let address = entry.address.and_then(|address| {
                let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
            });
            device.addresses.extend(address);
        }
        // One that has gone meanwhile has no index.
        devices.retain(|name, device| {
            device.index = if_nametoindex(name.as_str()).unwrap_or(0);
            device.index != 0
        });
        Ok(Self(devices))
    }

    /// The interface of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Device> {
        self.0.get(name)
    }

    /// The name of the interface that has an address, and the interface.
    pub(crate) fn having(&self, address: IpAddr) -> Option<(&str, &Device)> {
        let found = self.0.iter().find(|(_, device)| device.addresses.contains(&address));
        found.map(|(name, device)| (name.as_str(), device))
    }

    /// All addresses that other machines could have packets for.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        let all = self.0.values().flat_map(|device| device.addresses.iter().copied());
        all.filter(|address| !address.is_loopback()).collect()
    }

    /// Names and addresses, as errors give them: `eth0 (10.0.0.1), lo (127.0.0.1, ::1)`.
    pub(crate) fn text(&self) -> String {
        let texts = self.0.iter().map(|(name, device)| {
            let addresses: Vec<String> = device.addresses.iter().map(ToString::to_string).collect();
            if addresses.is_empty() {
                name.clone()
            } else {
                format!("{name} ({})", addresses.join(", "))
            }
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}
