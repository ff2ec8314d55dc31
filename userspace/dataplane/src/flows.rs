//! The tables of forwarded flows: as large as is asked for, and kept.
//!
//! Flows are to go on when the agent comes back: with other programs, with other maps that have another
//! layout, or with another `--vip-flows`. So their maps are apart from the others. They are used on if they are of
//! the right size and layout. If only the size is another, new ones take over all flows just before the programs
//! are replaced. Which ones are to be taken over, the attached programs say: those that are pinned may be of an agent
//! that was killed before its programs were attached.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aya::{
    maps::{MapData, MapInfo},
    programs::{
        ProgramInfo,
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
};
use muster_packet::{FLOW_MAPS, Forwarding, Host, Phase, State, Tracked, flow_fingerprint, unit};
use tracing::{info, warn};

use crate::{
    Error, Forward, front,
    pins::{self, Pins},
    plane::now_ns,
    tables::{Indexed, Tables},
};

/// What is to become of the tables of flows.
pub(crate) struct Flows {
    /// How many flows there is to be room for; 0 if nothing is forwarded.
    size: u32,
    /// True if the tables that are pinned are used on.
    keeps: bool,
    /// Tables whose flows are to be taken over, by identity.
    former: BTreeMap<u32, Indexed<Tracked>>,
    /// How those are used.
    rules: Option<Forwarding>,
}

// === impl Flows ===

impl Flows {
    /// Looks at what there is.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::Map`].
    pub(crate) fn find(pins: &Pins, forward: &Forward) -> Result<Self, Error> {
        let size = forward.tracked();
        let mut flows = Self { size, keeps: false, former: BTreeMap::new(), rules: None };
        if pins.meta().is_none_or(|meta| meta.flows != flow_fingerprint()) {
            return Ok(flows);
        }
        let attached = attached(&pins.links())?;
        let named = |name: &'static str| {
            attached.iter().filter(move |map| map.name_as_str() == Some(name)).map(MapInfo::id)
        };
        let pinned = Pinned::of(pins);
        if let Some(pinned) = &pinned {
            flows.rules = Some(pinned.rules);
            flows.keeps =
                pinned.fits(flows.sizes()) && named("tracked").all(|used| used == pinned.id);
        }
        if flows.keeps || size == 0 {
            return Ok(flows);
        }
        // What is pinned may be older than what is attached.
        let is_attached = named("tracked").next().is_some();
        let pinned = pinned.iter().map(|pinned| pinned.id).filter(|_| !is_attached);
        for id in named("tracked").chain(pinned) {
            let map = MapData::from_id(id).map_err(opened("tracked"))?;
            flows.former.insert(id, Indexed::of("tracked", map)?);
        }
        if let Some(id) = named("forwarding").next() {
            let map = MapData::from_id(id).map_err(opened("forwarding"))?;
            flows.rules = Some(Indexed::of("forwarding", map)?.get(0)?);
        }
        Ok(flows)
    }

    /// True if the tables that are pinned are used on.
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// Names of the maps, and their sizes. A map has an entry at least.
    pub(crate) fn sizes(&self) -> [(&'static str, u32); 2] {
        [("tracked", self.size.max(1)), ("track_index", buckets(self.size).max(1))]
    }

    /// Makes new tables be used as the former ones: what is where depends on their secret.
    pub(crate) fn begin(&self, tables: &mut Tables) -> Result<(), Error> {
        match self.rules {
            Some(rules) if !self.keeps && self.size > 0 && rules.tracked > 0 => {
                tables.forwarding.set(sized(rules, self.size))
            }
            _ => Ok(()),
        }
    }

    /// Fills new tables with the flows of the former ones, those first that are the least over.
    pub(crate) fn carry(&self, tables: &mut Tables) -> Result<(), Error> {
        let mut flows = Vec::new();
        let now = unit(now_ns()?);
        for map in self.former.values() {
            flows.extend(map.first(usize::MAX)?.into_iter().filter(|flow| {
                let state = flow.state();
                state.is(Phase::Open)
                    && !state.is(Phase::Busy)
                    && state.readiness(now) != State::FREE
            }));
        }
        if flows.is_empty() {
            return Ok(());
        }
        flows.sort_by_key(|flow| (flow.state().readiness(now), Reverse(flow.seen)));
        let mut host = Host::new(tables.forwarding.get()?);
        host.now = now;
        let mut known = BTreeSet::new();
        let (mut carried, mut lost) = (0_usize, 0_usize);
        for flow in flows {
            let ends = (flow.client, flow.client_port, flow.vip, flow.vip_port, flow.protocol);
            if known.insert(ends) {
                *(if host.carry(&flow) { &mut carried } else { &mut lost }) += 1;
            }
        }
        tables.tracked.set_all(&host.flows().collect::<Vec<_>>())?;
        tables.track_index.set_all(&host.buckets().collect::<Vec<_>>())?;
        if lost > 0 {
            warn!(carried, lost, "the new table of flows has no room for all; see --vip-flows");
        } else {
            info!(carried, "the new table of flows has those of the former one");
        }
        Ok(())
    }
}

/// As many buckets as a table of flows needs.
fn buckets(size: u32) -> u32 {
    size / 2
}

/// For tables of this size.
pub(crate) fn sized(rules: Forwarding, size: u32) -> Forwarding {
    Forwarding { tracked: size, buckets: buckets(size), ..rules }
}

/// The tables that are pinned.
struct Pinned {
    /// Identity of `tracked`.
    id: u32,
    rules: Forwarding,
    /// Entries of `tracked` and `track_index`.
    entries: [u32; 2],
}

// === impl Pinned ===

impl Pinned {
    /// `None` if they are not all there, or not to be read.
    fn of(pins: &Pins) -> Option<Self> {
        let path = |name: &str| pins.directory().join(name);
        let infos = FLOW_MAPS.map(|shape| MapInfo::from_pin(path(shape.name)).ok());
        let [_, Some(tracked), Some(index)] = &infos else { return None };
        let forwarding = MapData::from_pin(path("forwarding")).ok()?;
        Some(Self {
            id: tracked.id(),
            rules: Indexed::of("forwarding", forwarding).ok()?.get(0).ok()?,
            entries: [tracked.max_entries(), index.max_entries()],
        })
    }

    /// True if they belong together, and have these sizes.
    fn fits(&self, sizes: [(&'static str, u32); 2]) -> bool {
        let Forwarding { tracked, buckets, .. } = self.rules;
        let is_whole = tracked == 0 || [tracked, buckets] == self.entries;
        is_whole && self.entries == sizes.map(|(_, entries)| entries)
    }
}

/// The maps of the programs that are attached to interfaces, those first by which requests come.
fn attached(links: &Path) -> Result<Vec<MapInfo>, Error> {
    let mut programs = Vec::new();
    for path in pins::list(links)? {
        let Some((kind, _)) = front::Kind::of(&path) else { continue };
        let Some(program) = program(&path, kind) else { continue };
        programs.push((kind.is_of_answers(), program));
    }
    programs.sort_by_key(|(is_of_answers, _)| *is_of_answers);
    let mut maps = Vec::new();
    for (_, program) in programs {
        for id in program.map_ids().ok().flatten().unwrap_or_default() {
            let map = MapData::from_id(id).and_then(|map| map.info());
            maps.push(map.map_err(opened("tracked"))?);
        }
    }
    Ok(maps)
}

/// The program of a pin; none if it goes away just now.
fn program(path: &Path, kind: front::Kind) -> Option<ProgramInfo> {
    if kind.is_filter() {
        return ProgramInfo::from_pin(path).ok();
    }
    let link: FdLink = PinnedLink::from_pin(path).ok()?.into();
    let id = link.info().ok()?.program_id();
    loaded_programs().filter_map(Result::ok).find(|program| program.id() == id)
}

fn opened(map: &'static str) -> impl FnOnce(aya::maps::MapError) -> Error {
    move |error| Error::Map {
        map,
        call: "BPF_MAP_GET_FD_BY_ID",
        source: std::io::Error::other(error),
    }
}
