//! Where the refusals of each framework are.

use std::num::NonZeroU32;

use crate::ids::ClientId;

/// The number of an entry. There are fewer than memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryId(NonZeroU32);

impl EntryId {
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl From<usize> for EntryId {
    fn from(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

/// A framework's refusals in a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Of a refusal of what was refused last, if the version is that of it.
    pub(super) generation: u64,
    pub(super) version: u32,
    /// Entry of the first one.
    pub(super) first: EntryId,
}

/// Slots by client: a list of those that there are, or a table of all once it is not much
/// larger.
#[derive(Clone, Debug)]
pub(super) enum Slots {
    Few(Vec<(ClientId, Slot)>),
    /// With how many of them there are.
    Many(Vec<Option<Slot>>, usize),
}

/// A table may have so many times as many places as there are slots.
const SPARSE: usize = 4;

impl Default for Slots {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(list) => list.is_empty(),
            Self::Many(_, count) => *count == 0,
        }
    }

    pub(super) fn get(&self, client: ClientId) -> Option<Slot> {
        match self {
            Self::Few(list) => {
                let position = list.binary_search_by_key(&client, |(client, _)| *client).ok()?;
                Some(list[position].1)
            }
            Self::Many(table, _) => *table.get(client.index())?,
        }
    }

    pub(super) fn set(&mut self, client: ClientId, slot: Slot) {
        match self {
            Self::Few(list) => match list.binary_search_by_key(&client, |(client, _)| *client) {
                Ok(position) => list[position].1 = slot,
                Err(position) => {
                    list.insert(position, (client, slot));
                    self.spread();
                }
            },
            Self::Many(table, count) => {
                if table.len() <= client.index() {
                    table.resize(client.index() + 1, None);
                }
                if table[client.index()].replace(slot).is_none() {
                    *count += 1;
                }
            }
        }
    }

    pub(super) fn clear(&mut self, client: ClientId) {
        match self {
            Self::Few(list) => list.retain(|(other, _)| *other != client),
            Self::Many(table, count) => {
                let place = table.get_mut(client.index());
                if place.and_then(Option::take).is_some() {
                    *count -= 1;
                }
            }
        }
    }

    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (ClientId, Slot)> + '_> {
        match self {
            Self::Few(list) => Box::new(list.iter().copied()),
            Self::Many(table, _) => {
                let slot = |(client, slot): (usize, &Option<Slot>)| Some((client.into(), (*slot)?));
                Box::new(table.iter().enumerate().filter_map(slot))
            }
        }
    }

    /// Makes a table of a list that is long enough.
    fn spread(&mut self) {
        let Self::Few(list) = self else { return };
        let Some((last, _)) = list.last() else { return };
        if list.len() < 8 || last.index() >= list.len() * SPARSE {
            return;
        }
        let mut table = vec![None; last.index() + 1];
        for (client, slot) in list.iter() {
            table[client.index()] = Some(*slot);
        }
        *self = Self::Many(table, list.len());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_list_and_a_table_say_the_same() {
        let mut slots = Slots::default();
        let mut plain = BTreeMap::new();
        for step in 0..2_000_u32 {
            let number = step * 7 % 31 + if step % 5 == 0 { step / 9 } else { 0 };
            let client = ClientId::from(number as usize);
            if step % 3 == 2 {
                slots.clear(client);
                plain.remove(&client);
            } else {
                let slot =
                    Slot { generation: u64::from(step), version: 1, first: (step as usize).into() };
                slots.set(client, slot);
                plain.insert(client, slot);
            }
            assert_eq!(slots.get(client), plain.get(&client).copied());
            assert_eq!(slots.is_empty(), plain.is_empty());
        }
        assert!(matches!(slots, Slots::Many(..)));
        assert!(slots.iter().eq(plain));
    }
}
