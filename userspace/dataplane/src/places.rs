//! Where backends' counters are.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::{Counted, Endpoint, MAX_COUNTERS, Pair, UNCOUNTED};

/// Places in the maps `counters` and `handshakes`, and whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pairs: BTreeMap<Pair, Entry>,
    /// Where what is known of each backend is.
    homes: BTreeMap<Endpoint, Home>,
    /// Pairs that have a place, and are in no table.
    idle: BTreeSet<Pair>,
    /// Above all places that are taken.
    end: u32,
    /// Those below that are free.
    free: BTreeSet<u32>,
}

/// A backend of a VIP that has a place, or is in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    at: Option<Counted>,
    /// In how many slots of tables it is.
    uses: u32,
}

/// One of a backend's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    place: u32,
    /// How many places the backend has.
    places: u32,
}

// === impl Places ===

impl Places {
    /// Where a VIP's backend is counted.
    pub(crate) fn get(&self, pair: &Pair) -> Option<Counted> {
        self.pairs.get(pair)?.at
    }

    /// The place as slots have it.
    pub(crate) fn or_uncounted(&self, pair: &Pair) -> u32 {
        self.get(pair).map_or(UNCOUNTED, |at| at.counter)
    }

    /// The place where what is known of a backend is, if it has one in any VIP.
    pub(crate) fn home(&self, backend: &Endpoint) -> Option<u32> {
        Some(self.homes.get(backend)?.place)
    }

    /// How many are taken.
    pub(crate) fn len(&self) -> usize {
        (self.end as usize).saturating_sub(self.free.len())
    }

    /// How many of the first places there are to read, to have all that are some backend's.
    pub(crate) fn end(&self) -> usize {
        self.end as usize
    }

    /// Places that nobody has, the first ones first.
    pub(crate) fn unused(&self) -> impl Iterator<Item = u32> {
        let most = u32::try_from(MAX_COUNTERS).unwrap_or(u32::MAX);
        self.free.iter().copied().chain(self.end..most)
    }

    /// Pairs that have a place, and are in no table; not those at whose place what is known of the backend is, while
    /// it has others.
    pub(crate) fn idle(&self) -> impl Iterator<Item = (Pair, u32)> {
        let places = self.idle.iter().filter_map(|pair| Some((*pair, self.get(pair)?)));
        places.filter(|(pair, at)| !self.is_needed(pair, *at)).map(|(pair, at)| (pair, at.counter))
    }

    /// A place is a pair's from now on. It must be [unused](Self::unused), and the home be the backend's: otherwise
    /// nothing changes.
    pub(crate) fn take(&mut self, pair: Pair, at: Counted) {
        let (Counted { counter, home }, backend) = (at, pair.backend);
        if self.get(&pair).is_some() || self.home(&backend).unwrap_or(counter) != home {
            return;
        }
        self.homes.entry(backend).or_insert(Home { place: home, places: 0 }).places += 1;
        let entry = self.pairs.entry(pair).or_default();
        entry.at = Some(at);
        if entry.uses == 0 {
            self.idle.insert(pair);
        }
        self.free.remove(&counter);
        self.free.extend(self.end..counter);
        self.end = self.end.max(counter.saturating_add(1));
    }

    /// A pair has no place any more; but one that is needed it keeps: see [`idle`](Self::idle).
    pub(crate) fn give_back(&mut self, pair: &Pair) {
        let Some(at) = self.get(pair).filter(|at| !self.is_needed(pair, *at)) else { return };
        if let Some(entry) = self.pairs.get_mut(pair) {
            entry.at = None;
            if entry.uses == 0 {
                self.pairs.remove(pair);
            }
        }
        if let Some(home) = self.homes.get_mut(&pair.backend) {
            home.places -= 1;
            if home.places == 0 {
                self.homes.remove(&pair.backend);
            }
        }
        self.idle.remove(pair);
        self.free.insert(at.counter);
        while let Some(last) = self.end.checked_sub(1).filter(|last| self.free.contains(last)) {
            self.free.remove(&last);
            self.end = last;
        }
    }

    /// Pairs are in a table.
    pub(crate) fn begin_use(&mut self, pairs: impl Iterator<Item = Pair>) {
        for pair in pairs {
            self.pairs.entry(pair).or_default().uses += 1;
            self.idle.remove(&pair);
        }
    }

    /// Pairs are in a table no more.
    pub(crate) fn end_use(&mut self, pairs: impl Iterator<Item = Pair>) {
        for pair in pairs {
            let Some(entry) = self.pairs.get_mut(&pair) else { continue };
            entry.uses = entry.uses.saturating_sub(1);
            match entry {
                Entry { uses: 0, at: Some(_) } => {
                    self.idle.insert(pair);
                }
                Entry { uses: 0, at: None } => {
                    self.pairs.remove(&pair);
                }
                Entry { .. } => {}
            }
        }
    }

    /// True if the place is the home of others, too.
    fn is_needed(&self, pair: &Pair, at: Counted) -> bool {
        at.counter == at.home && self.homes.get(&pair.backend).is_some_and(|home| home.places > 1)
    }
}

#[cfg(test)]
impl Places {
    /// All that have a place.
    pub(crate) fn all(&self) -> Vec<(Pair, Counted)> {
        self.pairs.iter().filter_map(|(pair, entry)| Some((*pair, entry.at?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use muster_packet::TCP;
    use proptest::prelude::*;

    use super::*;

    /// One of three backends, in one of four VIPs.
    fn pair(number: u16) -> Pair {
        let vip = Endpoint::v4([11, 0, 0, 1], number / 3 + 1, TCP);
        Pair { vip, backend: Endpoint::v4([10, 0, 0, 1], number % 3 + 1, TCP) }
    }

    proptest! {
        #[test]
        fn first_unused_place_is_taken_and_given_back(
            steps in proptest::collection::vec((0u16..12, 0u8..4), 0..80),
        ) {
            let mut places = Places::default();
            let mut taken = BTreeMap::<u16, Counted>::new();
            let mut uses = BTreeMap::<u16, u32>::new();
            let same = |taken: &BTreeMap<u16, Counted>, of: u16| {
                taken.iter().filter(|(number, _)| **number % 3 == of % 3).map(|(_, at)| *at).collect::<Vec<_>>()
            };
            // Where another has its home nobody leaves.
            let needed = |taken: &BTreeMap<u16, Counted>, of: u16| {
                taken.get(&of).is_some_and(|at| at.counter == at.home && same(taken, of).len() > 1)
            };
            for (number, step) in steps {
                match step {
                    0 if !taken.contains_key(&number) => {
                        let counter = places.unused().next().unwrap();
                        let is_taken = |place: &u32| taken.values().any(|at| at.counter == *place);
                        let free = (0..=u32::from(u16::MAX)).find(|place| !is_taken(place));
                        prop_assert_eq!(Some(counter), free);
                        let home = places.home(&pair(number).backend);
                        prop_assert_eq!(home, same(&taken, number).first().map(|at| at.home));
                        let at = Counted { counter, home: home.unwrap_or(counter) };
                        // A home that is not the backend's is nobody's.
                        places.take(pair(number), Counted { home: at.home + 1, ..at });
                        prop_assert_eq!(places.get(&pair(number)), None);
                        places.take(pair(number), at);
                        taken.insert(number, at);
                    }
                    1 => {
                        places.give_back(&pair(number));
                        if !needed(&taken, number) {
                            taken.remove(&number);
                        }
                    }
                    2 => {
                        places.begin_use([pair(number)].into_iter());
                        *uses.entry(number).or_default() += 1;
                    }
                    3 if uses.get(&number).is_some_and(|uses| *uses > 0) => {
                        places.end_use([pair(number)].into_iter());
                        *uses.entry(number).or_default() -= 1;
                    }
                    _ => {}
                }
                prop_assert_eq!(places.len(), taken.len());
                let end = taken.values().map(|at| at.counter + 1).max().unwrap_or(0);
                prop_assert_eq!(places.end(), end as usize);
                let idle: BTreeSet<_> = places.idle().collect();
                let mut wanted = taken.clone();
                wanted.retain(|of, _| uses.get(of).is_none_or(|uses| *uses == 0) && !needed(&taken, *of));
                prop_assert_eq!(idle, wanted.into_iter().map(|(p, at)| (pair(p), at.counter)).collect());
                for number in 0..12 {
                    prop_assert_eq!(places.get(&pair(number)), taken.get(&number).copied());
                }
                prop_assert_eq!(places.all().len(), taken.len());
            }
        }
    }
}
