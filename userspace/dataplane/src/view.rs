//! The cluster view as the data plane keeps it, so that a change of it costs what has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use muster_api::muster::{Vip, VipKey};
use muster_packet::Endpoint;

use crate::{
    Skipped,
    desired::{self, Flaw, Wanted},
    front::Addresses,
};

/// What is to be served, and what of the view cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// In the order of their addresses' texts; the first is served. There is more than one only if an
    /// address is written in several ways.
    vips: BTreeMap<Endpoint, Vec<Claim>>,
    /// VIPs of which not all is served.
    flawed: BTreeSet<Endpoint>,
    /// VIPs that can be nowhere.
    unusable: BTreeMap<Key, Flaw>,
    /// Names of VIPs without a key.
    keyless: Vec<String>,
    /// What the programs at interfaces have to know, if there are any.
    addresses: Option<Addresses>,
}

/// What is new of the cluster view.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News<'a> {
    /// All of it.
    Whole(&'a [Vip]),
    /// These VIPs are removed, then those are changed or added.
    Change {
        /// Changed or added.
        changed: &'a [Vip],
        /// Removed.
        removed: &'a [VipKey],
    },
}

/// Address, port and protocol, as the view has them.
type Key = (String, u32, i32);

/// A VIP of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    /// As the view has it.
    address: String,
    name: String,
    wanted: Wanted,
    flaws: Vec<Flaw>,
    /// Its backends' addresses that may be known as this machine's.
    local: Vec<IpAddr>,
}

// === impl View ===

impl View {
    /// A view of these VIPs. `agent_id` is this agent's, if packets of other machines are forwarded.
    fn of(vips: &[Vip], agent_id: Option<&str>) -> Self {
        let mut view = Self { addresses: agent_id.map(Addresses::new), ..Self::default() };
        for vip in vips {
            view.add(vip);
        }
        view
    }

    /// Takes what is new. Says which VIPs may have to be served in another way now; `None`: all.
    pub(crate) fn take(
        &mut self,
        news: News<'_>,
        agent_id: Option<&str>,
    ) -> Option<BTreeSet<Endpoint>> {
        match news {
            News::Whole(vips) => {
                *self = Self::of(vips, agent_id);
                None
            }
            News::Change { changed, removed } => Some(self.update(changed, removed)),
        }
    }

    fn update(&mut self, changed: &[Vip], removed: &[VipKey]) -> BTreeSet<Endpoint> {
        let gone = removed.iter().filter_map(|key| self.remove(key)).collect::<Vec<_>>();
        let mut touched = BTreeSet::from_iter(gone);
        for vip in changed {
            touched.extend(vip.key.as_ref().and_then(|key| self.remove(key)));
            touched.extend(self.add(vip));
        }
        touched
    }

    /// How many VIPs are to be served.
    pub(crate) fn len(&self) -> usize {
        self.vips.len()
    }

    /// The VIPs to serve.
    pub(crate) fn vips(&self) -> impl Iterator<Item = (Endpoint, &Wanted)> {
        self.vips.iter().filter_map(|(vip, claims)| Some((*vip, &claims.first()?.wanted)))
    }

    /// What a VIP is to be; `None` if it is to be none.
    pub(crate) fn wanted(&self, vip: &Endpoint) -> Option<&Wanted> {
        Some(&self.vips.get(vip)?.first()?.wanted)
    }

    /// What a VIP is called: the maps know addresses only.
    pub(crate) fn name(&self, vip: &Endpoint) -> Option<String> {
        let name = &self.vips.get(vip)?.first()?.name;
        (!name.is_empty()).then(|| name.clone())
    }

    /// What the programs at interfaces have to know, if there are any.
    pub(crate) fn addresses(&mut self) -> Option<&mut Addresses> {
        self.addresses.as_mut()
    }

    /// What of the view cannot be served.
    pub(crate) fn skipped(&self) -> Vec<Skipped> {
        let keyless = self.keyless.iter().map(|name| Skipped::NoKey { name: name.clone() });
        let mut skipped: Vec<_> = keyless.collect();
        skipped.extend(self.unusable.values().map(Skipped::from));
        for vip in &self.flawed {
            for (position, claim) in self.vips.get(vip).into_iter().flatten().enumerate() {
                skipped.extend(claim.flaws.iter().map(Skipped::from));
                if position > 0 {
                    skipped.push(Skipped::Twice { vip: claim.text(vip) });
                }
            }
        }
        skipped
    }

    /// Where it is, if anywhere.
    fn add(&mut self, vip: &Vip) -> Option<Endpoint> {
        let Some(key) = &vip.key else {
            self.keyless.push(vip.name.clone());
            return None;
        };
        let endpoint = match desired::endpoint(key) {
            Ok(endpoint) => endpoint,
            Err(flaw) => {
                self.unusable.insert((key.address.clone(), key.port, key.protocol), flaw);
                return None;
            }
        };
        let (wanted, flaws) = desired::wanted(vip, &endpoint);
        let mut local = Vec::new();
        if let Some(addresses) = &mut self.addresses {
            local = addresses.local(&vip.backends);
            addresses.add(&endpoint, &local);
        }
        let claim =
            Claim { address: key.address.clone(), name: vip.name.clone(), wanted, flaws, local };
        let claims = self.vips.entry(endpoint).or_insert_with(|| Vec::with_capacity(1));
        claims.insert(claims.partition_point(|other| other.address <= claim.address), claim);
        self.mark(endpoint);
        Some(endpoint)
    }

    /// Where it was, if anywhere.
    fn remove(&mut self, key: &VipKey) -> Option<Endpoint> {
        let Ok(endpoint) = desired::endpoint(key) else {
            self.unusable.remove(&(key.address.clone(), key.port, key.protocol));
            return None;
        };
        let claims = self.vips.get_mut(&endpoint)?;
        for claim in claims.extract_if(.., |claim| claim.address == key.address) {
            if let Some(addresses) = &mut self.addresses {
                addresses.remove(&endpoint, &claim.local);
            }
        }
        if claims.is_empty() {
            self.vips.remove(&endpoint);
        }
        self.mark(endpoint);
        Some(endpoint)
    }

    fn mark(&mut self, vip: Endpoint) {
        let claims = self.vips.get(&vip).map_or(&[][..], Vec::as_slice);
        if claims.len() > 1 || claims.iter().any(|claim| !claim.flaws.is_empty()) {
            self.flawed.insert(vip);
        } else {
            self.flawed.remove(&vip);
        }
    }
}

// === impl Claim ===

impl Claim {
    fn text(&self, vip: &Endpoint) -> String {
        desired::text(&self.address, u32::from(vip.port), i32::from(vip.protocol))
    }
}

#[cfg(test)]
mod tests;
