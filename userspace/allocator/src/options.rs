//! What the allocator is told about itself, agents and frameworks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_api::mesos::Attribute;
use muster_resources::{Limits, Name, Quantities, Resources, Scalar};

use crate::{AgentCapabilities, FrameworkCapabilities, OfferConstraints, Unavailability};

/// How roles, or the frameworks of a role, are put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SorterKind {
    /// By dominant share (Ghodsi et al., NSDI 2011).
    #[default]
    Drf,
    /// By chance, in proportion to weights, whatever they have.
    Random,
}

/// Settings of the allocator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of all random choices.
    pub seed: u64,
    /// Time between two cycles over all agents; offers are refused for at least as long.
    /// 1 s unless set.
    pub allocation_interval: Duration,
    /// Offers have to hold one of these; with none of them, any offer will do.
    /// `cpus:0.01` or `mem:32` unless set.
    pub min_allocatable: Vec<Quantities>,
    /// Order of roles.
    pub role_sorter: SorterKind,
    /// Order of the frameworks of a role.
    pub framework_sorter: SorterKind,
    /// Names of resources that do not count for shares.
    pub excluded: BTreeSet<Name>,
    /// Whether agents with GPUs are only for frameworks that know GPUs; true unless set.
    pub filter_gpu_resources: bool,
    /// Region of the master; agents of others are for frameworks that know regions.
    pub region: Option<String>,
    /// Which part of the agents has to be back after a new master took over; 0.8 unless set.
    pub recovery_factor: f64,
    /// How long agents are waited for; 10 min unless set.
    pub recovery_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let quantity = |name, thousandths| {
            Quantities::from_iter([(name, Scalar::from_thousandths(thousandths))])
        };
        Self {
            seed: 0,
            allocation_interval: Duration::from_secs(1),
            min_allocatable: vec![quantity(Name::CPUS, 10), quantity(Name::MEM, 32_000)],
            role_sorter: SorterKind::Drf,
            framework_sorter: SorterKind::Drf,
            excluded: BTreeSet::new(),
            filter_gpu_resources: true,
            region: None,
            recovery_factor: 0.8,
            recovery_timeout: Duration::from_mins(10),
        }
    }
}

/// Where an agent is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// Name of the region.
    pub region: String,
    /// Name of the zone within the region.
    pub zone: String,
}

/// What is to be known of an agent.
#[derive(Clone, Debug, Default)]
pub struct AgentOptions {
    /// Name of the machine, for the whitelist.
    pub hostname: String,
    /// All that it has, used or not.
    pub total: Resources,
    /// What frameworks can choose it by.
    pub attributes: Vec<Attribute>,
    /// Where it is; without, it counts as near the master.
    pub domain: Option<Domain>,
    /// What it knows.
    pub capabilities: AgentCapabilities,
    /// When it will be down, if that is known.
    pub unavailability: Option<Unavailability>,
}

/// What is to be known of a framework.
#[derive(Clone, Debug, Default)]
pub struct FrameworkOptions {
    /// Roles in which it wants offers; more than once is the same as once.
    pub roles: Vec<String>,
    /// Roles in which it wants none at present.
    pub suppressed: BTreeSet<String>,
    /// What it knows.
    pub capabilities: FrameworkCapabilities,
    /// Whether it is connected.
    pub active: bool,
    /// Instead of [`Options::min_allocatable`], by role; with an empty list, any offer
    /// will do.
    pub min_allocatable: BTreeMap<String, Vec<Quantities>>,
    /// Which agents it wants offers of.
    pub offer_constraints: OfferConstraints,
}

/// What a role is promised, and what it may have at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Kept for the role, whether its frameworks want it at present or not.
    pub guarantees: Quantities,
    /// More than this is not offered to the role, reservations to it included.
    pub limits: Limits,
}

impl Quota {
    /// Whether nothing is promised or limited.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
