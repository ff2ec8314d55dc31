//! Where backends' counters are.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{Endpoint, MAX_COUNTERS, UNCOUNTED};

/// Places in the map `counters`, and whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    backends: BTreeMap<Endpoint, Backend>,
    /// Backends that have a place, and are in no table.
    idle: BTreeSet<Endpoint>,
    /// Above all places that are taken.
    end: u32,
    /// Those below that are free.
    free: BTreeSet<u32>,
}

/// A backend that has a place, or is in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Backend {
    place: Option<u32>,
    /// In how many slots of tables it is.
    uses: u32,
}

// === impl Places ===

impl Places {
    /// A backend's place.
    pub(crate) fn get(&self, backend: &Endpoint) -> Option<u32> {
        self.backends.get(backend)?.place
    }

    /// A backend's place as slots have it.
    pub(crate) fn or_uncounted(&self, backend: &Endpoint) -> u32 {
        self.get(backend).unwrap_or(UNCOUNTED)
    }

    /// How many are taken.
    pub(crate) fn len(&self) -> usize {
        (self.end as usize).saturating_sub(self.free.len())
    }

    /// How many of the first places there are to read, to have all that are some backend's.
    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    /// Places that no backend has, the first ones first.
    pub(crate) fn unused(&self) -> impl Iterator<Item = u32> {
        let most = u32::try_from(MAX_COUNTERS).unwrap_or(u32::MAX);
        self.free.iter().copied().chain(self.end..most)
    }

    /// Backends that have a place, and are in no table.
    pub(crate) fn idle(&self) -> impl Iterator<Item = (Endpoint, u32)> {
        self.idle.iter().filter_map(|backend| Some((*backend, self.get(backend)?)))
    }

    /// A place is a backend's from now on. It must be [unused](Self::unused).
    pub(crate) fn take(&mut self, backend: Endpoint, place: u32) {
        self.give_back(&backend);
        let entry = self.backends.entry(backend).or_default();
        entry.place = Some(place);
        if entry.uses == 0 {
            self.idle.insert(backend);
        }
        self.free.remove(&place);
        self.free.extend(self.end..place);
        self.end = self.end.max(place.saturating_add(1));
    }

    /// A backend has no place any more.
    pub(crate) fn give_back(&mut self, backend: &Endpoint) {
        let Some(entry) = self.backends.get_mut(backend) else { return };
        let Some(place) = entry.place.take() else { return };
        if entry.uses == 0 {
            self.backends.remove(backend);
        }
        self.idle.remove(backend);
        self.free.insert(place);
        while let Some(last) = self.end.checked_sub(1).filter(|last| self.free.contains(last)) {
            self.free.remove(&last);
            self.end = last;
        }
    }

    /// Backends are in a table.
    pub(crate) fn begin_use(&mut self, backends: impl Iterator<Item = Endpoint>) {
        for backend in backends {
            self.backends.entry(backend).or_default().uses += 1;
            self.idle.remove(&backend);
        }
    }

    /// Backends are in a table no more.
    pub(crate) fn end_use(&mut self, backends: impl Iterator<Item = Endpoint>) {
        for backend in backends {
            let Some(entry) = self.backends.get_mut(&backend) else { continue };
            entry.uses = entry.uses.saturating_sub(1);
            match entry {
                Backend { uses: 0, place: Some(_) } => {
                    self.idle.insert(backend);
                }
                Backend { uses: 0, place: None } => {
                    self.backends.remove(&backend);
                }
                Backend { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_packet::TCP;
    use proptest::prelude::*;

    use super::*;

    fn backend(port: u16) -> Endpoint {
        Endpoint::v4([10, 0, 0, 1], port, TCP)
    }

    proptest! {
        #[test]
        fn first_unused_place_is_taken_and_given_back(
            steps in proptest::collection::vec((0u16..12, 0u8..4), 0..80),
        ) {
            let mut places = Places::default();
            let mut taken = BTreeMap::<u16, u32>::new();
            let mut uses = BTreeMap::<u16, u32>::new();
            for (port, step) in steps {
                match step {
                    0 if !taken.contains_key(&port) => {
                        let place = places.unused().next().unwrap();
                        let free = (0..=u32::from(u16::MAX)).find(|place| !taken.values().any(|p| p == place));
                        prop_assert_eq!(Some(place), free);
                        places.take(backend(port), place);
                        taken.insert(port, place);
                    }
                    1 => {
                        places.give_back(&backend(port));
                        taken.remove(&port);
                    }
                    2 => {
                        places.begin_use([backend(port)].into_iter());
                        *uses.entry(port).or_default() += 1;
                    }
                    3 if uses.get(&port).is_some_and(|uses| *uses > 0) => {
                        places.end_use([backend(port)].into_iter());
                        *uses.entry(port).or_default() -= 1;
                    }
                    _ => {}
                }
                prop_assert_eq!(places.len(), taken.len());
                let end = taken.values().max().map_or(0, |last| *last as usize + 1);
                prop_assert_eq!(places.end(), end);
                let idle: Vec<_> = places.idle().collect();
                let mut wanted = taken.clone();
                wanted.retain(|port, _| uses.get(port).is_none_or(|uses| *uses == 0));
                prop_assert_eq!(idle, wanted.into_iter().map(|(p, at)| (backend(p), at)).collect::<Vec<_>>());
                for port in 0..12 {
                    prop_assert_eq!(places.get(&backend(port)), taken.get(&port).copied());
                }
            }
        }
    }
}
