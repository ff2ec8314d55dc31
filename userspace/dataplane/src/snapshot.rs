//! All that there is to tell of a data plane at one moment.

use muster_packet::MAPS;

use crate::{Skips, VipStatus};

/// What the maps say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every VIP, sorted by address.
    pub vips: Vec<VipStatus>,
    /// What of the view is not applied.
    pub skips: Skips,
    /// How full the maps are that have a place for each VIP or backend.
    pub maps: Vec<MapUse>,
    /// What became of forwarded packets, as [`DataPlane::forwarded`](crate::DataPlane::forwarded) has it;
    /// empty where none are.
    pub forwarded: Vec<(&'static str, u64)>,
    /// What the kernel lacks, and what is different for want of it.
    pub lacking: Vec<String>,
}

/// How full a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUse {
    /// The map.
    pub name: &'static str,
    /// Entries in it.
    pub entries: usize,
    /// The most that it can have.
    pub capacity: usize,
}

// === impl MapUse ===

impl MapUse {
    pub(crate) fn new(name: &'static str, entries: usize) -> Self {
        let shape = MAPS.iter().find(|shape| shape.name == name);
        Self { name, entries, capacity: shape.map_or(0, |shape| shape.entries) }
    }
}
