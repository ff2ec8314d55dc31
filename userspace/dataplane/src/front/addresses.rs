//! The maps `forwarding` and `addresses`: what the programs have to know of this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
};

use muster_api::muster::Backend;
use muster_packet::{Endpoint, Forwarding, Known, KnownAddress};

use crate::{Error, Forward, flows, front::Devices, tables::Tables};

/// Addresses in the cluster view that the programs have to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// Backends of this agent's tasks may have an address of their own.
    agent_id: String,
    /// The VIPs', and how many VIPs have each.
    vips: BTreeMap<IpAddr, u32>,
    /// Those of the agent's containers that have some of their own, and how many backends have each.
    containers: BTreeMap<IpAddr, u32>,
    /// What may have to be written.
    changed: BTreeSet<IpAddr>,
}

/// Writes how packets are forwarded, with the source of those to other machines.
pub(crate) fn set_forwarding(
    tables: &mut Tables,
    forward: &Forward,
    devices: &Devices,
) -> Result<(), Error> {
    let current = tables.forwarding.get()?;
    // Drawn once: flows are where it says.
    let seed = if current.tracked == 0 {
        RandomState::new().hash_one(current.tracked)
    } else {
        current.seed
    };
    let (v4, v6) = sources(forward.address, devices);
    let rules = Forwarding { most_new: forward.most_new(), ..Forwarding::new(v4, v6, seed) };
    tables.forwarding.set(flows::sized(rules, forward.tracked()))
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
pub(crate) fn set_known(
    tables: &mut Tables,
    view: &Addresses,
    devices: &Devices,
) -> Result<(), Error> {
    let own = devices.addresses();
    let all = own.iter().chain(view.containers.keys()).chain(view.vips.keys());
    let mut wanted: BTreeMap<_, _> =
        all.map(|address| (key(*address), view.known(address, &own))).collect();
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

/// As [`set_known`], where nothing but the view has changed since the last time.
pub(crate) fn set_changed(
    tables: &mut Tables,
    view: &Addresses,
    devices: &Devices,
) -> Result<(), Error> {
    let own = devices.addresses();
    for address in &view.changed {
        let known = view.known(address, &own);
        if known == Known::default() {
            tables.addresses.remove(&key(*address))?;
        } else {
            tables.addresses.insert(key(*address), known)?;
        }
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

// === impl Addresses ===

impl Addresses {
    /// True if there are VIPs of a family.
    pub(crate) fn has(&self, is_v4: bool) -> bool {
        // Those of IPv4 come first.
        let mut vips = self.vips.keys();
        let vip = if is_v4 { vips.next() } else { vips.next_back() };
        vip.is_some_and(|vip| vip.is_ipv4() == is_v4)
    }

    /// None so far.
    pub(crate) fn new(agent_id: &str) -> Self {
        Self { agent_id: agent_id.to_owned(), ..Self::default() }
    }

    /// Those of backends that are this agent's tasks. Addresses that are none are named where the VIPs
    /// are written.
    pub(crate) fn local(&self, backends: &[Backend]) -> Vec<IpAddr> {
        let id = &self.agent_id;
        let ours = backends.iter().filter(|backend| backend.agent_id == *id && !id.is_empty());
        let addresses = ours.filter_map(|backend| backend.address.parse().ok());
        // The host's loopback is no container's address.
        addresses.filter(|address: &IpAddr| !address.is_loopback()).collect()
    }

    /// There is a VIP with such backends.
    pub(crate) fn add(&mut self, vip: &Endpoint, local: &[IpAddr]) {
        count(&mut self.vips, vip.socket_address().ip(), &mut self.changed);
        for address in local {
            count(&mut self.containers, *address, &mut self.changed);
        }
    }

    /// There is no such VIP any more.
    pub(crate) fn remove(&mut self, vip: &Endpoint, local: &[IpAddr]) {
        count_off(&mut self.vips, vip.socket_address().ip(), &mut self.changed);
        for address in local {
            count_off(&mut self.containers, *address, &mut self.changed);
        }
    }

    /// True if something may have to be written.
    pub(crate) fn have_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Everything is written.
    pub(crate) fn are_known(&mut self) {
        self.changed.clear();
    }

    fn known(&self, address: &IpAddr, own: &BTreeSet<IpAddr>) -> Known {
        let local = own.contains(address) || self.containers.contains_key(address);
        Known { local: local.into(), vip: self.vips.contains_key(address).into() }
    }
}

// What is yet to be written is no part of what it is.
impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        (&self.agent_id, &self.vips, &self.containers)
            == (&other.agent_id, &other.vips, &other.containers)
    }
}

impl Eq for Addresses {}

fn count(of: &mut BTreeMap<IpAddr, u32>, address: IpAddr, changed: &mut BTreeSet<IpAddr>) {
    let count = of.entry(address).or_default();
    *count += 1;
    if *count == 1 {
        changed.insert(address);
    }
}

fn count_off(of: &mut BTreeMap<IpAddr, u32>, address: IpAddr, changed: &mut BTreeSet<IpAddr>) {
    let Some(count) = of.get_mut(&address) else { return };
    *count -= 1;
    if *count == 0 {
        of.remove(&address);
        changed.insert(address);
    }
}

#[cfg(test)]
mod tests {
    use muster_packet::TCP;

    use super::*;

    fn addresses(of: &BTreeMap<IpAddr, u32>) -> Vec<String> {
        of.keys().map(ToString::to_string).collect()
    }

    fn backend(address: &str, agent: &str) -> Backend {
        Backend { address: address.to_owned(), agent_id: agent.to_owned(), ..Backend::default() }
    }

    #[test]
    fn backends_of_the_agent_are_on_its_machine() {
        let backends = [
            backend("172.17.0.2", "S1"),
            backend("172.17.0.3", "S2"),
            backend("127.0.0.1", "S1"),
            backend("not one", "S1"),
            backend("fd00::7", "S1"),
            backend("10.0.0.9", ""),
        ];
        let vip = Endpoint::v4([11, 0, 0, 1], 80, TCP);
        let mut view = Addresses::new("S1");
        let local = view.local(&backends);
        view.add(&vip, &local);
        assert_eq!(addresses(&view.containers), ["172.17.0.2", "fd00::7"]);
        assert_eq!(addresses(&view.vips), ["11.0.0.1"]);
        assert!(Addresses::new("").local(&backends).is_empty());
        assert!(view.has(true) && !view.has(false));
    }

    #[test]
    fn address_is_known_while_any_vip_has_it() {
        let vips = [80, 81].map(|port| Endpoint::v4([11, 0, 0, 1], port, TCP));
        let mut view = Addresses::new("S1");
        let local = view.local(&[backend("172.17.0.2", "S1"), backend("11.0.0.1", "S1")]);
        let known = |view: &Addresses, address: &str, own: &BTreeSet<IpAddr>| {
            let Known { local, vip } = view.known(&address.parse().unwrap(), own);
            (local, vip)
        };
        let own = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        view.add(&vips[0], &local);
        view.add(&vips[1], &[]);
        assert!(view.have_changed());
        view.are_known();
        assert_eq!(known(&view, "11.0.0.1", &own), (1, 1));
        assert_eq!(known(&view, "172.17.0.2", &own), (1, 0));
        assert_eq!(known(&view, "10.0.0.1", &own), (1, 0));
        view.remove(&vips[1], &[]);
        assert!(!view.have_changed(), "another VIP has the address");
        view.remove(&vips[0], &local);
        assert_eq!(view.changed.len(), 2);
        assert_eq!(known(&view, "11.0.0.1", &own), (0, 0));
        assert_eq!(known(&view, "10.0.0.1", &own), (1, 0));
    }
}
