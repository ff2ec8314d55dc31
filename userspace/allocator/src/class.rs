//! Frameworks by what makes them suit an agent or not.

use crate::agent::Agent;
use crate::{FrameworkCapabilities, FrameworkOptions};

/// Frameworks that suit the same agents, as far as capabilities are concerned: a number below
/// eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class(u8);

/// What of a framework's options matters when an agent is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) class: Class,
    pub(crate) knows: FrameworkCapabilities,
    /// Whether it has offer constraints.
    pub(crate) constrained: bool,
}

const GPUS: u8 = 1;
const REGIONS: u8 = 2;
const ROLES: u8 = 4;

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u8);

/// How many there are of each class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census([u32; 8]);

impl Traits {
    pub(crate) fn of(options: &FrameworkOptions) -> Self {
        Self {
            class: Class::of(options.capabilities),
            knows: options.capabilities,
            constrained: !options.offer_constraints.is_empty(),
        }
    }
}

impl Class {
    pub(crate) fn of(knows: FrameworkCapabilities) -> Self {
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        Self(
            bit(knows.gpu_resources, GPUS)
                | bit(knows.region_aware, REGIONS)
                | bit(knows.multi_role, ROLES),
        )
    }
}

impl Classes {
    /// The classes that suit an agent.
    pub(crate) fn suiting(agent: &Agent, filter_gpus: bool) -> Self {
        let gpus = filter_gpus && agent.has_gpus();
        let suits = |class: &u8| {
            (class & GPUS != 0 || !gpus)
                && (class & REGIONS != 0 || !agent.remote)
                && (class & ROLES == 0 || agent.options.capabilities.multi_role)
        };
        Self((0..8).filter(suits).fold(0, |set, class| set | 1 << class))
    }

    pub(crate) fn contains(self, class: Class) -> bool {
        self.0 & 1 << class.0 != 0
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Census {
    /// The classes of which there are any.
    pub(crate) fn classes(&self) -> Classes {
        let any = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        Classes(any.fold(0, |set, (class, _)| set | 1 << class))
    }

    pub(crate) fn count(&mut self, class: Class, more: bool) {
        let count = &mut self.0[usize::from(class.0)];
        *count = if more { *count + 1 } else { *count - 1 };
    }

    /// Counts another set in place of one that was counted.
    pub(crate) fn replace(&mut self, old: Classes, new: Classes) {
        for class in (0..8).map(Class) {
            match (old.contains(class), new.contains(class)) {
                (false, true) => self.count(class, true),
                (true, false) => self.count(class, false),
                _ => {}
            }
        }
    }
}
