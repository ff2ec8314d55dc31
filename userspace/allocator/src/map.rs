//! Maps by names that come from outside.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// A map that puts its keys where the seed says: with one that nobody knows, nobody can choose
/// names that come to lie in one place; and with the same one, the same work is done.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// An empty map.
pub(crate) fn seeded<K, V>(seed: u64) -> Map<K, V> {
    Map::with_hasher(FixedState::with_seed(seed))
}
