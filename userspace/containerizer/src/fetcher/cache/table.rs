//! What is in the cache, without the files.

use std::collections::HashMap;

/// Whose file it is, and where from.
pub(super) type Key = (String, String);

/// The number of a file in the cache.
pub(super) type Number = u64;

/// Files that are there, or are coming, and who uses them.
pub(super) struct Table {
    capacity: u64,
    /// Bytes of all entries.
    used: u64,
    /// Counts what is asked for: the order of use, and the numbers of files.
    clock: u64,
    entries: HashMap<Key, Entry>,
}

struct Entry {
    number: Number,
    bytes: u64,
    /// How many use it, or wait for it.
    users: u32,
    last: u64,
    complete: bool,
}

/// What an entry is to one who has just begun to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there.
    Complete(Number),
    /// Another is fetching it.
    Coming(Number),
    /// Nobody is: the asker has to.
    Missing(Number),
}

impl Table {
    /// An empty one for so many bytes.
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: 0, clock: 0, entries: HashMap::new() }
    }

    /// Begins to use the entry `key`, which is made if there is none.
    pub(super) fn enter(&mut self, key: &Key) -> Found {
        self.clock += 1;
        let clock = self.clock;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.users += 1;
            entry.last = clock;
            let number = entry.number;
            return if entry.complete { Found::Complete(number) } else { Found::Coming(number) };
        }
        let entry = Entry { number: clock, bytes: 0, users: 1, last: clock, complete: false };
        self.entries.insert(key.clone(), entry);
        Found::Missing(clock)
    }

    /// Whether the entry is there (`true`), still coming (`false`), or has been given up.
    pub(super) fn look(&self, key: &Key, number: Number) -> Option<bool> {
        let entry = self.entries.get(key).filter(|entry| entry.number == number);
        entry.map(|entry| entry.complete)
    }

    /// Gives an entry that is coming `bytes` more: the files that have to go for that, those
    /// first that were not used for longest. `None` if there is no room, not even without all
    /// that nobody uses; then nothing has changed.
    pub(super) fn grow(&mut self, key: &Key, bytes: u64) -> Option<Vec<Number>> {
        let wanted = self.used.checked_add(bytes)?;
        let mut idle: Vec<(u64, Key)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.complete && entry.users == 0)
            .map(|(key, entry)| (entry.last, key.clone()))
            .collect();
        idle.sort_unstable();
        let (mut freed, mut count) = (0, 0);
        for (_, key) in &idle {
            if wanted - freed <= self.capacity {
                break;
            }
            freed += self.entries.get(key).map_or(0, |entry| entry.bytes);
            count += 1;
        }
        if wanted - freed > self.capacity {
            return None;
        }
        self.entries.get_mut(key)?.bytes += bytes;
        self.used = wanted - freed;
        let gone = idle.into_iter().take(count);
        Some(gone.filter_map(|(_, key)| Some(self.entries.remove(&key)?.number)).collect())
    }

    /// The entry is there.
    pub(super) fn complete(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.complete = true;
        }
    }

    /// The entry is not going to be there.
    pub(super) fn abandon(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.used -= entry.bytes;
        }
    }

    /// Ends one use of the entry.
    pub(super) fn leave(&mut self, key: &Key, number: Number) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.number == number
        {
            entry.users -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str) -> Key {
        ("root".into(), uri.into())
    }

    /// Puts an entry of so many bytes into the table and stops using it.
    fn fill(table: &mut Table, uri: &str, bytes: u64) -> Number {
        let Found::Missing(number) = table.enter(&key(uri)) else { panic!("{uri} is there") };
        table.grow(&key(uri), bytes).unwrap();
        table.complete(&key(uri));
        table.leave(&key(uri), number);
        number
    }

    #[test]
    fn one_fetches_and_others_wait() {
        let mut table = Table::new(10);
        let Found::Missing(number) = table.enter(&key("a")) else { panic!() };
        assert_eq!(table.enter(&key("a")), Found::Coming(number));
        assert_eq!(table.look(&key("a"), number), Some(false));
        table.complete(&key("a"));
        assert_eq!(table.look(&key("a"), number), Some(true));
        assert_eq!(table.enter(&key("a")), Found::Complete(number));
        // Another user's is another's.
        assert!(matches!(table.enter(&("guest".into(), "a".into())), Found::Missing(_)));
    }

    #[test]
    fn who_waited_for_what_was_given_up_learns_that() {
        let mut table = Table::new(10);
        let Found::Missing(first) = table.enter(&key("a")) else { panic!() };
        table.enter(&key("a"));
        table.grow(&key("a"), 7).unwrap();
        table.abandon(&key("a"));
        assert_eq!(table.look(&key("a"), first), None);
        let Found::Missing(second) = table.enter(&key("a")) else { panic!() };
        assert_eq!(table.look(&key("a"), first), None);
        // A use of what was given up is none of what is there now.
        table.leave(&key("a"), first);
        table.grow(&key("a"), 10).unwrap();
        table.complete(&key("a"));
        assert_eq!(table.look(&key("a"), second), Some(true));
        assert_eq!(fill_fails(&mut table), None);
    }

    fn fill_fails(table: &mut Table) -> Option<Vec<Number>> {
        table.enter(&key("b"));
        let grown = table.grow(&key("b"), 1);
        table.abandon(&key("b"));
        grown
    }

    #[test]
    fn the_least_recently_used_goes_first_and_none_that_is_used() {
        let mut table = Table::new(10);
        let a = fill(&mut table, "a", 4);
        let b = fill(&mut table, "b", 4);
        assert_eq!(table.enter(&key("a")), Found::Complete(a));
        table.leave(&key("a"), a);
        table.enter(&key("c"));
        assert_eq!(table.grow(&key("c"), 2), Some(vec![]));
        assert_eq!(table.grow(&key("c"), 1), Some(vec![b]));
        table.enter(&key("a"));
        assert_eq!(table.grow(&key("c"), 4), None);
        assert_eq!(table.grow(&key("c"), 3), Some(vec![]));
        assert_eq!(table.grow(&key("c"), u64::MAX), None);
        table.leave(&key("a"), a);
        assert_eq!(table.grow(&key("c"), 1), Some(vec![a]));
    }
}
