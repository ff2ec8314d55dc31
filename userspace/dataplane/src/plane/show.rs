//! What the maps say of VIPs and packets.

use std::net::SocketAddr;

use muster_api::muster::Protocol;
use muster_packet::{Endpoint, MAX_COUNTERS, Slot, State, TCP, UDP, unit};
use nix::time::{ClockId, clock_gettime};

use super::EbpfPlane;
use crate::{
    BackendStatus, Error, MapUse, Snapshot, VipStatus, current::Current, forwarded, pages::Pages,
    platform::features::Feature, status, table::Slots,
};

impl EbpfPlane {
    /// What became of the packets that were forwarded, or were not, by name, since the maps were made. All are
    /// numbers of packets, but for `opened` and `displaced`, which are of flows.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub(crate) fn forwarded(&self) -> Result<Vec<(&'static str, u64)>, Error> {
        Ok(forwarded::sum(&self.tables.forwarded.get()?))
    }

    /// All that the maps say, read once.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let now = now_ns()?;
        let current = Current::read(&self.tables, Some(Pages::default()))?;
        let counters = self.tables.counters.first(current.places().end())?;
        let handshakes = self.tables.handshakes.first(current.places().end())?;
        let known = |at: u32| {
            let shown = handshakes.get(at as usize)?;
            Some((*counters.get(shown.home as usize)?, *shown))
        };
        let vips = current.vips().iter().map(|(vip, entry)| VipStatus {
            address: vip.socket_address(),
            protocol: status::protocol(*vip),
            name: self.view.name(vip),
            policy: status::policy(entry),
            backends: current
                .slots(entry.table)
                .into_iter()
                .flat_map(Slots::iter)
                .map(|slot| BackendStatus::new(slot, known(slot.counter).as_ref(), now))
                .collect(),
        });
        let mut forwarded = Vec::new();
        let mut flows = None;
        if self.forwards {
            forwarded = self.forwarded()?;
            let tracked = self.tables.tracked.first(usize::MAX)?;
            let now = unit(now);
            let used = tracked.iter().filter(|flow| flow.state().readiness(now) != State::FREE);
            flows =
                Some(MapUse { name: "tracked", entries: used.count(), capacity: tracked.len() });
        }
        Ok(Snapshot {
            maps: [
                MapUse::new("vips", current.vips().len()),
                MapUse::new("backends", current.backends()),
                MapUse::new("counters", current.places().len()),
            ]
            .into_iter()
            .chain(flows)
            .collect(),
            forwarded,
            skips: self.skips.clone(),
            lacking: self.lacking.iter().filter_map(Feature::consequence).collect(),
            vips: vips.collect(),
        })
    }

    /// One VIP, or `None` if there is none at this address.
    ///
    /// # Errors
    ///
    /// [`Error::Map`].
    pub(crate) fn vip(
        &self,
        address: SocketAddr,
        protocol: Protocol,
    ) -> Result<Option<VipStatus>, Error> {
        let Some(key) = endpoint(address, protocol) else { return Ok(None) };
        let Some(entry) = self.tables.vips.get(&key)? else { return Ok(None) };
        let now = now_ns()?;
        let mut backends = Vec::new();
        for index in 0..entry.backends.saturating_add(entry.draining) {
            let slot = Slot { table: entry.table, index };
            // The lock on the plane keeps the table from being replaced meanwhile.
            if let Some(slot) = self.tables.backends.get(&slot)? {
                let mut known = None;
                if (slot.counter as usize) < MAX_COUNTERS {
                    let shown = self.tables.handshakes.get(slot.counter)?;
                    known = Some((self.tables.counters.get(shown.home)?, shown));
                }
                backends.push(BackendStatus::new(&slot, known.as_ref(), now));
            }
        }
        let address = key.socket_address();
        let (name, policy) = (self.view.name(&key), status::policy(&entry));
        Ok(Some(VipStatus { address, protocol, name, policy, backends }))
    }
}

/// A VIP's key.
pub(crate) fn endpoint(address: SocketAddr, protocol: Protocol) -> Option<Endpoint> {
    let number = match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
        Protocol::Unspecified => return None,
    };
    Some(Endpoint::at(address, number))
}

/// The clock that programs read.
pub(crate) fn now_ns() -> Result<u64, Error> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_err(|errno| Error::Call { call: "clock_gettime", source: errno.into() })?;
    let ns = now.tv_sec().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec());
    Ok(u64::try_from(ns).unwrap_or(0))
}
