//! One resource.

use std::cmp::Ordering;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::{Disk, Name, Reservation, Value, role};

/// Everything that makes a resource more than a plain amount of something. Mostly it is
/// none of this.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Details {
    /// Whom it is reserved for; each reservation after the first refines the one before.
    pub reservations: Vec<Reservation>,
    /// What disk it is.
    pub disk: Option<Disk>,
    /// Whether it may be taken back at any time.
    pub revocable: bool,
    /// Whether several tasks may use it at once.
    pub shared: bool,
    /// Id of the resource provider that it comes from, if not from the agent itself.
    pub provider: Option<SmolStr>,
}

impl Details {
    /// Nothing special.
    pub const PLAIN: Self = Self {
        reservations: Vec::new(),
        disk: None,
        revocable: false,
        shared: false,
        provider: None,
    };
}

static PLAIN: Details = Details::PLAIN;

/// An amount of something with a name, with all that distinguishes it from other amounts
/// under that name.
#[derive(Clone, Debug)]
pub struct Resource {
    name: Name,
    allocation: Option<SmolStr>,
    // Shared by the copies of a resource, of which there are many.
    details: Option<Arc<Details>>,
    value: Value,
    copies: u32,
}

impl Resource {
    /// A plain resource.
    pub fn new(name: impl Into<Name>, value: Value) -> Self {
        Self { name: name.into(), allocation: None, details: None, value, copies: 1 }
    }

    /// The same with these details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = (details != Details::PLAIN).then(|| Arc::new(details));
        self
    }

    /// The same with this value.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// The same, allocated to a role or to none.
    #[must_use]
    pub fn with_allocation(mut self, role: Option<SmolStr>) -> Self {
        self.allocation = role;
        self
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How much there is.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// All that is special about it.
    pub fn details(&self) -> &Details {
        self.details.as_deref().unwrap_or(&PLAIN)
    }

    /// The role that it is offered to or used by.
    pub fn allocation(&self) -> Option<&SmolStr> {
        self.allocation.as_ref()
    }

    /// How many users a shared resource has or may have; 1 if it is not shared.
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        self.copies == 0 || self.value.is_empty()
    }

    /// Whether nothing at all is special about it, except the role it is allocated to.
    pub fn is_plain(&self) -> bool {
        self.details.is_none()
    }

    /// Whether it is an amount.
    pub fn is_scalar(&self) -> bool {
        matches!(self.value, Value::Scalar(_))
    }

    /// Whether it may be taken back at any time.
    pub fn is_revocable(&self) -> bool {
        self.details().revocable
    }

    /// Whether several tasks may use it at once.
    pub fn is_shared(&self) -> bool {
        self.details().shared
    }

    /// Whether it is set aside for some role.
    pub fn is_reserved(&self) -> bool {
        !self.details().reservations.is_empty()
    }

    /// The role it is set aside for: the last one of the stack.
    pub fn reservation_role(&self) -> Option<&str> {
        self.details().reservations.last().map(|reservation| reservation.role.as_str())
    }

    /// Whether a reservation has been refined to a subrole.
    pub fn has_refined_reservations(&self) -> bool {
        self.details().reservations.len() > 1
    }

    /// Whether its last reservation was made by an operation.
    pub fn is_dynamically_reserved(&self) -> bool {
        let last = self.details().reservations.last();
        last.is_some_and(|last| last.kind == crate::ReservationKind::Dynamic)
    }

    /// Whether frameworks of `role` may have it: it is unreserved, or reserved to that role
    /// or to one above.
    pub fn is_allocatable_to(&self, role: &str) -> bool {
        self.reservation_role()
            .is_none_or(|reserved| reserved == role || role::is_strict_subrole_of(role, reserved))
    }

    /// Whether it is a persistent volume.
    pub fn is_persistent_volume(&self) -> bool {
        self.details().disk.as_ref().is_some_and(|disk| disk.persistence.is_some())
    }

    /// Whether parts of it can be used by themselves, and equal ones added up. Persistent
    /// volumes, MOUNT and BLOCK disks, RAW disks with an id and shared resources cannot.
    pub fn is_divisible(&self) -> bool {
        let details = self.details();
        !details.shared && !details.disk.as_ref().is_some_and(Disk::is_exclusive)
    }

    /// The same with other details.
    #[must_use]
    pub fn map_details(&self, change: impl FnOnce(&mut Details)) -> Self {
        let mut details = self.details().clone();
        change(&mut details);
        let shared = details.shared;
        let mut changed = self.clone().with_details(details);
        if !shared {
            changed.copies = 1;
        }
        changed
    }

    /// Where it belongs in a collection; equal if amounts can be added up, or are one and
    /// the same shared or indivisible thing.
    #[inline]
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name).then_with(|| self.order_by_details(other))
    }

    fn order_by_details(&self, other: &Self) -> Ordering {
        self.allocation
            .cmp(&other.allocation)
            .then_with(|| match (&self.details, &other.details) {
                (None, None) => Ordering::Equal,
                (Some(own), Some(other)) if Arc::ptr_eq(own, other) => Ordering::Equal,
                (own, other) => own.cmp(other),
            })
            .then_with(|| self.value.kind().cmp(&other.value.kind()))
            .then_with(|| {
                if self.is_divisible() { Ordering::Equal } else { self.value.cmp(&other.value) }
            })
    }

    pub(crate) fn set_allocation(&mut self, role: Option<SmolStr>) {
        self.allocation = role;
    }

    pub(crate) fn set_copies(&mut self, copies: u32) {
        self.copies = copies;
    }

    pub(crate) fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq() && self.value == other.value && self.copies == other.copies
    }
}

impl Eq for Resource {}
