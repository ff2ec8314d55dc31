//! Collections of resources, and their algebra.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::{Items, Name, Quantities, Ranges, Resource, Scalar, Value};

/// Resources, added up and in order: one entry for each identity, except that indivisible
/// ones (MOUNT disks, persistent volumes) stay apart.
///
/// Subtraction takes away what is there and forgets the rest, as Mesos' does: nothing ever
/// becomes negative. Use [`Resources::contains`] where that matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    entries: Vec<Resource>,
}

impl Resources {
    /// Every entry, in order: by name, then by role it is allocated to, then by details.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds one resource; an empty one changes nothing.
    pub fn add(&mut self, resource: Resource) {
        if resource.is_empty() {
            return;
        }
        // Mostly they come in order.
        if self.entries.last().is_none_or(|last| last.order(&resource).is_lt()) {
            self.entries.push(resource);
            return;
        }
        match self.entries.binary_search_by(|entry| entry.order(&resource)) {
            Ok(position) if resource.is_shared() => {
                let entry = &mut self.entries[position];
                entry.set_copies(entry.copies().saturating_add(resource.copies()));
            }
            Ok(position) if resource.is_divisible() => {
                self.entries[position].value_mut().add(resource.value());
            }
            Ok(position) | Err(position) => self.entries.insert(position, resource),
        }
    }

    /// Takes one resource away, as much as there is of it.
    pub fn subtract(&mut self, resource: &Resource) {
        if resource.is_empty() {
            return;
        }
        let Ok(position) = self.entries.binary_search_by(|entry| entry.order(resource)) else {
            return;
        };
        let entry = &mut self.entries[position];
        let gone = if resource.is_shared() {
            entry.set_copies(entry.copies().saturating_sub(resource.copies()));
            entry.is_empty()
        } else if resource.is_divisible() {
            entry.value_mut().subtract(resource.value());
            entry.is_empty() || matches!(entry.value(), Value::Scalar(left) if *left < Scalar::ZERO)
        } else {
            true
        };
        if gone {
            self.entries.remove(position);
        }
    }

    /// Whether all of `other` is in here.
    pub fn contains(&self, other: &Self) -> bool {
        let mut own = self.entries.as_slice();
        other.entries.iter().all(|wanted| {
            own = &own[own.partition_point(|entry| entry.order(wanted).is_lt())..];
            let Some((entry, rest)) = own.split_first() else { return false };
            if entry.order(wanted).is_ne() {
                return false;
            }
            // The same indivisible thing may be wanted twice.
            own = rest;
            if wanted.is_shared() {
                entry.copies() >= wanted.copies()
            } else {
                entry.value().contains(wanted.value())
            }
        })
    }

    /// Whether there is that much of each name, however it is reserved, and whatever kind
    /// of value it is: ranges and sets count their members.
    pub fn contains_quantities(&self, quantities: &Quantities) -> bool {
        quantities.iter().all(|(name, wanted)| self.quantity(name) >= wanted)
    }

    /// How much there is under a name: the sum of scalars and of how many numbers and words.
    pub fn quantity(&self, name: &Name) -> Scalar {
        self.named(name).map(|entry| entry.value().quantity()).sum()
    }

    /// Sum of the scalars under a name.
    pub fn scalar(&self, name: impl Into<Name>) -> Scalar {
        let name = name.into();
        self.named(&name)
            .filter_map(|entry| match entry.value() {
                Value::Scalar(scalar) => Some(*scalar),
                _ => None,
            })
            .sum()
    }

    /// All numbers of ranges under a name.
    pub fn ranges(&self, name: impl Into<Name>) -> Ranges {
        let name = name.into();
        let mut all = Ranges::default();
        for entry in self.named(&name) {
            if let Value::Ranges(ranges) = entry.value() {
                all.add(ranges);
            }
        }
        all
    }

    /// All words of sets under a name.
    pub fn items(&self, name: impl Into<Name>) -> Items {
        let name = name.into();
        let mut all = Items::default();
        for entry in self.named(&name) {
            if let Value::Set(items) = entry.value() {
                all.add(items);
            }
        }
        all
    }

    /// How many of a shared resource there are; 1 or 0 for others.
    pub fn count(&self, resource: &Resource) -> u32 {
        let found =
            self.iter().find(|e| e.order(resource).is_eq() && e.value() == resource.value());
        found.map_or(0, Resource::copies)
    }

    /// The entries under a name.
    pub fn named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Resource> {
        self.entries.iter().filter(move |entry| entry.name() == name)
    }

    /// The names, each once, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let mut last = None;
        self.entries
            .iter()
            .map(Resource::name)
            .filter(move |name| last.replace(*name) != Some(*name))
    }

    /// Sums of all scalars by name.
    pub fn scalar_totals(&self) -> BTreeMap<Name, Scalar> {
        let mut totals = BTreeMap::new();
        for entry in &self.entries {
            if let Value::Scalar(scalar) = entry.value() {
                *totals.entry(entry.name().clone()).or_default() += *scalar;
            }
        }
        totals
    }

    /// All numbers of ranges by name.
    pub fn range_totals(&self) -> BTreeMap<Name, Ranges> {
        let mut totals: BTreeMap<Name, Ranges> = BTreeMap::new();
        for entry in &self.entries {
            if let Value::Ranges(ranges) = entry.value() {
                totals.entry(entry.name().clone()).or_default().add(ranges);
            }
        }
        totals
    }

    /// All words of sets by name.
    pub fn item_totals(&self) -> BTreeMap<Name, Items> {
        let mut totals: BTreeMap<Name, Items> = BTreeMap::new();
        for entry in &self.entries {
            if let Value::Set(items) = entry.value() {
                totals.entry(entry.name().clone()).or_default().add(items);
            }
        }
        totals
    }

    /// Some of the entries.
    #[must_use]
    pub fn filter(&self, keep: impl FnMut(&&Resource) -> bool) -> Self {
        Self { entries: self.entries.iter().filter(keep).cloned().collect() }
    }

    /// Only scalars.
    #[must_use]
    pub fn scalars(&self) -> Self {
        self.filter(|entry| entry.is_scalar())
    }

    /// What is reserved to any role.
    #[must_use]
    pub fn reserved(&self) -> Self {
        self.filter(|entry| entry.is_reserved())
    }

    /// What is reserved to exactly this role.
    #[must_use]
    pub fn reserved_to(&self, role: &str) -> Self {
        self.filter(|entry| entry.reservation_role() == Some(role))
    }

    /// What is reserved to no role.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        self.filter(|entry| !entry.is_reserved())
    }

    /// What frameworks of a role may have: see [`Resource::is_allocatable_to`].
    #[must_use]
    pub fn allocatable_to(&self, role: &str) -> Self {
        self.filter(|entry| entry.is_allocatable_to(role))
    }

    /// What may be taken back at any time.
    #[must_use]
    pub fn revocable(&self) -> Self {
        self.filter(|entry| entry.is_revocable())
    }

    /// What may not be taken back.
    #[must_use]
    pub fn non_revocable(&self) -> Self {
        self.filter(|entry| !entry.is_revocable())
    }

    /// What several tasks may use at once.
    #[must_use]
    pub fn shared(&self) -> Self {
        self.filter(|entry| entry.is_shared())
    }

    /// What only one task may use.
    #[must_use]
    pub fn non_shared(&self) -> Self {
        self.filter(|entry| !entry.is_shared())
    }

    /// The persistent volumes.
    #[must_use]
    pub fn persistent_volumes(&self) -> Self {
        self.filter(|entry| entry.is_persistent_volume())
    }

    /// Each role's reservations.
    pub fn reservations(&self) -> BTreeMap<SmolStr, Self> {
        let mut by_role: BTreeMap<SmolStr, Self> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(role) = entry.reservation_role() {
                by_role.entry(role.into()).or_default().entries.push(entry.clone());
            }
        }
        by_role
    }

    /// What each role is allocated; what is allocated to none is under the empty role.
    pub fn allocations(&self) -> BTreeMap<SmolStr, Self> {
        let mut by_role: BTreeMap<SmolStr, Self> = BTreeMap::new();
        for entry in &self.entries {
            let role = entry.allocation().cloned().unwrap_or_default();
            by_role.entry(role).or_default().entries.push(entry.clone());
        }
        by_role
    }

    /// Marks all of it as offered to or used by a role.
    #[must_use]
    pub fn allocated_to(self, role: &str) -> Self {
        self.with_allocation(Some(&role.into()))
    }

    /// Takes the mark of [`Resources::allocated_to`] off.
    #[must_use]
    pub fn unallocated(self) -> Self {
        self.with_allocation(None)
    }

    fn with_allocation(mut self, role: Option<&SmolStr>) -> Self {
        let single =
            self.entries.windows(2).all(|pair| pair[0].allocation() == pair[1].allocation());
        for entry in &mut self.entries {
            entry.set_allocation(role.cloned());
        }
        // Entries that differed only in the role are one now.
        if single { self } else { self.entries.into_iter().collect() }
    }

    /// The same without any reservations.
    #[must_use]
    pub fn to_unreserved(&self) -> Self {
        self.iter().map(|entry| entry.map_details(|details| details.reservations.clear())).collect()
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut all = Self::default();
        all.extend(resources);
        all
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        for resource in resources {
            self.add(resource);
        }
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        Self::from_iter([resource])
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
