//! The maps `forwarding` and `addresses`: what the programs have to know of this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
};

use muster_api::muster::Vip;
use muster_packet::{Forwarding, Known, KnownAddress};

use crate::{Error, front::Devices, tables::Tables};

/// Addresses in the cluster view that the programs have to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The VIPs'.
    vips: BTreeSet<IpAddr>,
    /// Those of the agent's containers that have some of their own.
    containers: BTreeSet<IpAddr>,
}

/// Writes how packets are forwarded, with the source of those to other machines.
pub(crate) fn set_forwarding(
    tables: &mut Tables,
    address: IpAddr,
    devices: &Devices,
) -> Result<(), Error> {
    let current = tables.forwarding.get()?;
    // Drawn once: flows are where it says.
    let seed = if current.tracked == 0 {
        RandomState::new().hash_one(current.tracked)
    } else {
        current.seed
    };
    let (v4, v6) = sources(address, devices);
    tables.forwarding.set(Forwarding::new(v4, v6, seed))
}

/// Where packets to other machines come from: the agent's own address, and of the other family the first that its
/// interface has.
pub(crate) fn sources(address: IpAddr, devices: &Devices) -> (Option<[u8; 4]>, Option<[u8; 16]>) {
    let (mut v4, mut v6) = (None, None);
    let beside = devices.having(address).map(|(_, device)| device.addresses.clone());
    for source in [address].into_iter().chain(beside.unwrap_or_default()) {
        match source {
            IpAddr::V4(source) => v4 = v4.or(Some(source.octets())),
            IpAddr::V6(source) if source.is_unicast_link_local() => {}
            IpAddr::V6(source) => v6 = v6.or(Some(source.octets())),
        }
    }
    (v4, v6)
}

/// Adds this machine's addresses to what is known. Nothing is taken away: what else there is, only
/// the view tells.
pub(crate) fn add_own(tables: &mut Tables, devices: &Devices) -> Result<(), Error> {
    for address in devices.addresses() {
        let key = key(address);
        let known = tables.addresses.get(&key)?.unwrap_or_default();
        if known.local == 0 {
            tables.addresses.insert(key, Known { local: 1, ..known })?;
        }
    }
    Ok(())
}

/// Makes exactly these addresses known: this machine's, its containers' and the VIPs'.
pub(crate) fn set_known(tables: &mut Tables, view: &View, devices: &Devices) -> Result<(), Error> {
    let mut wanted = BTreeMap::<KnownAddress, Known>::new();
    for address in devices.addresses().iter().chain(&view.containers) {
        wanted.entry(key(*address)).or_default().local = 1;
    }
    for address in &view.vips {
        wanted.entry(key(*address)).or_default().vip = 1;
    }
    for (key, known) in tables.addresses.entries()? {
        match wanted.remove(&key) {
            Some(same) if same == known => {}
            Some(other) => tables.addresses.insert(key, other)?,
            None => tables.addresses.remove(&key)?,
        }
    }
    for (key, known) in wanted {
        tables.addresses.insert(key, known)?;
    }
    Ok(())
}

fn key(address: IpAddr) -> KnownAddress {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    KnownAddress { address: address.octets() }
}

// === impl View ===

impl View {
    /// True if it has VIPs of a family.
    pub(crate) fn has(&self, is_v4: bool) -> bool {
        self.vips.iter().any(|vip| vip.is_ipv4() == is_v4)
    }

    /// What of a view an agent needs. Addresses that are none are named where the VIPs are written.
    pub(crate) fn new(vips: &[Vip], agent_id: &str) -> Self {
        let backends = vips.iter().flat_map(|vip| &vip.backends);
        let ours = backends.filter(|backend| backend.agent_id == agent_id && !agent_id.is_empty());
        let addresses = ours.filter_map(|backend| backend.address.parse().ok());
        Self {
            vips: vips.iter().filter_map(|vip| vip.key.as_ref()?.address.parse().ok()).collect(),
            // The host's loopback is no container's address.
            containers: addresses.filter(|address: &IpAddr| !address.is_loopback()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::muster::{Backend, VipKey};

    use super::*;

    fn addresses(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn backends_of_the_agent_are_on_its_machine() {
        let backend = |address: &str, agent: &str| Backend {
            address: address.to_owned(),
            agent_id: agent.to_owned(),
            ..Backend::default()
        };
        let key =
            |address: &str| Some(VipKey { address: address.to_owned(), port: 1, protocol: 6 });
        let backends = vec![
            backend("172.17.0.2", "S1"),
            backend("172.17.0.3", "S2"),
            backend("127.0.0.1", "S1"),
            backend("not one", "S1"),
            backend("fd00::7", "S1"),
            backend("10.0.0.9", ""),
        ];
        let vips = [
            Vip { key: key("11.0.0.1"), backends, ..Vip::default() },
            Vip { key: key("eleven"), ..Vip::default() },
            Vip::default(),
        ];
        let view = View::new(&vips, "S1");
        assert_eq!(view.containers, addresses(&["172.17.0.2", "fd00::7"]));
        assert_eq!(view.vips, addresses(&["11.0.0.1"]));
        assert!(View::new(&vips, "").containers.is_empty());
        assert!(view.has(true) && !view.has(false));
    }
}
