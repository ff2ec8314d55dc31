//! What of the last view is not applied, in numbers, and said once.

use std::collections::{BTreeMap, BTreeSet};

use muster_packet::MAPS;
use tracing::{info, warn};

use crate::{Error, Skipped};

/// How many VIPs or backends a message names at most.
const NAMED: usize = 3;

/// What of the cluster view is not applied at the moment, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    /// VIPs (of the map `counters`: backends, which are served all the same) that are not as
    /// the view says because a map has no room, by the map.
    pub full: BTreeMap<&'static str, usize>,
    /// VIPs and backends that could not be written for another reason.
    pub failed: usize,
    /// VIPs and backends that are left out for a field that is impossible or not supported.
    pub invalid: usize,
}

/// What has been said of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    full: BTreeSet<&'static str>,
    others: BTreeSet<String>,
}

/// What is to be said now.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Something is not applied that was before, or is new.
    Worse(String),
    /// Something is over.
    Better(String),
}

// === impl Skips ===

impl Skips {
    /// In all.
    pub fn total(&self) -> usize {
        self.full.values().sum::<usize>() + self.failed + self.invalid
    }

    /// By map, those included that have room.
    pub fn by_map(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let maps = MAPS.iter().map(|shape| shape.name).filter(|name| CAN_FILL.contains(name));
        maps.map(|name| (name, self.full.get(name).copied().unwrap_or(0)))
    }

    pub(crate) fn of(skipped: &[Skipped]) -> Self {
        let mut skips = Self::default();
        for part in skipped {
            match part.error() {
                Some(Error::Full { map, .. }) => *skips.full.entry(map).or_default() += 1,
                Some(_) => skips.failed += 1,
                None => skips.invalid += 1,
            }
        }
        skips
    }
}

/// Maps that can have no room for a part of the view.
const CAN_FILL: [&str; 5] = ["vips", "backends", "maglev", "counted", "counters"];

// === impl Told ===

impl Told {
    /// Logs what has changed since the last time.
    pub(crate) fn tell(&mut self, skipped: &[Skipped]) {
        for news in self.news(skipped) {
            match news {
                News::Worse(line) => warn!("{line}"),
                News::Better(line) => info!("{line}"),
            }
        }
    }

    /// What has changed since the last time. A map that is full is named once, however many
    /// VIPs it has no room for.
    fn news(&mut self, skipped: &[Skipped]) -> Vec<News> {
        let (mut full, mut others) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for part in skipped {
            match part.error() {
                Some(error @ Error::Full { map, .. }) => {
                    full.entry(*map).or_default().push((part, error));
                }
                _ => {
                    others.insert(part.to_string());
                }
            }
        }
        let mut news = Vec::new();
        for (_, parts) in full.iter().filter(|(map, _)| !self.full.contains(*map)) {
            let Some((first, error)) = parts.first() else { continue };
            let names: Vec<_> = parts.iter().take(NAMED).map(|(part, _)| part.subject()).collect();
            let more = parts.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let what = first.consequence();
            news.push(News::Worse(format!("{error}; {what}: {}{more}", names.join(", "))));
        }
        for part in others.difference(&self.others) {
            news.push(News::Worse(format!("a part of the cluster view cannot be applied: {part}")));
        }
        let full: BTreeSet<_> = full.into_keys().collect();
        for map in self.full.difference(&full) {
            news.push(News::Better(format!("map {map}: has room for all of the view again")));
        }
        *self = Self { full, others };
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(vip: &str) -> Skipped {
        let error = Error::Full { map: "vips", entries: 7 };
        Skipped::Write { vip: vip.into(), error }
    }

    fn uncounted(backend: &str) -> Skipped {
        let error = Error::Full { map: "counters", entries: 9 };
        Skipped::Count { vip: "v".into(), backend: backend.into(), error }
    }

    fn twice(vip: &str) -> Skipped {
        Skipped::Twice { vip: vip.into() }
    }

    #[test]
    fn skips_are_counted_by_their_reason() {
        let failed = Error::Map { map: "vips", call: "bpf", source: std::io::Error::other("no") };
        let failed = Skipped::Write { vip: "x".into(), error: failed };
        let skips = Skips::of(&[full("a"), full("b"), uncounted("c"), twice("d"), failed]);
        assert_eq!(skips.full, BTreeMap::from([("vips", 2), ("counters", 1)]));
        assert_eq!((skips.failed, skips.invalid, skips.total()), (1, 1, 5));
        let by_map: Vec<_> = skips.by_map().collect();
        let wanted = [("vips", 2), ("backends", 0), ("maglev", 0), ("counted", 0), ("counters", 1)];
        assert_eq!(by_map, wanted);
    }

    #[test]
    fn full_map_is_named_once_until_there_is_room() {
        let mut told = Told::default();
        let many = ["a", "b", "c", "d", "e"].map(full);
        let worse =
            "map vips: full, all 7 entries are taken; VIPs stay as they were: a, b, c and 2 more";
        assert_eq!(told.news(&many), [News::Worse(worse.into())]);
        assert_eq!(told.news(&many[..4]), []);
        let worse =
            "map counters: full, all 9 entries are taken; backends are served, but not counted: x";
        assert_eq!(told.news(&[full("a"), uncounted("x")]), [News::Worse(worse.into())]);
        let better = |map| News::Better(format!("map {map}: has room for all of the view again"));
        assert_eq!(told.news(&[]), [better("counters"), better("vips")]);
        assert_eq!(told.news(&many).len(), 1);
    }

    #[test]
    fn other_reasons_are_said_once_each() {
        let mut told = Told::default();
        assert_eq!(told.news(&[twice("a"), twice("b")]).len(), 2);
        assert_eq!(told.news(&[twice("b"), twice("c")]).len(), 1);
        assert_eq!(told.news(&[]), []);
        assert_eq!(told.news(&[twice("b")]).len(), 1);
    }
}
