//! What the allocator is told about agents and frameworks.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_allocator::{
    AgentCapabilities, AgentOptions, ConstraintLimits, Domain, FrameworkCapabilities,
    FrameworkOptions, OfferConstraints, Unavailability,
};
use muster_api::mesos::offer_filters::ResourceQuantities;
use muster_api::mesos::{self, FrameworkInfo, scheduler};
use muster_resources::{Name, Quantities, Scalar};

use super::{Agent, Framework};

/// The allocator is told what the master has done; that it knows better is a bug in one of
/// them, and no reason to stop.
pub(super) fn agree(result: Result<(), muster_allocator::Error>) {
    if let Err(error) = result {
        tracing::error!(%error, "master and allocator disagree");
    }
}

pub(super) fn agent_options(agent: &Agent) -> AgentOptions {
    AgentOptions {
        hostname: agent.info.hostname.clone(),
        total: agent.total.clone(),
        attributes: agent.info.attributes.clone(),
        domain: agent.info.domain.as_ref().and_then(|domain| domain.fault_domain.as_ref()).map(
            |domain| Domain { region: domain.region.name.clone(), zone: domain.zone.name.clone() },
        ),
        capabilities: AgentCapabilities::default(),
        unavailability: agent.unavailability.as_ref().map(unavailability),
    }
}

/// When an agent will be down. What should have begun before 1970 has begun.
pub(super) fn unavailability(message: &mesos::Unavailability) -> Unavailability {
    let time =
        |nanoseconds: i64| Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    Unavailability {
        start: time(message.start.nanoseconds),
        duration: message.duration.map(|duration| time(duration.nanoseconds)),
    }
}

pub(super) fn framework_options(framework: &Framework) -> FrameworkOptions {
    FrameworkOptions {
        roles: framework.roles(),
        suppressed: framework.suppressed.clone(),
        capabilities: FrameworkCapabilities::from_proto(&framework.info.capabilities),
        active: framework.connection.is_some(),
        min_allocatable: min_allocatable(&framework.info),
        offer_constraints: framework.constraints.clone(),
    }
}

/// The constraints of a `SUBSCRIBE` or `UPDATE_FRAMEWORK`; without the field there are none.
pub(super) fn constraints(
    message: Option<&scheduler::OfferConstraints>,
    limits: ConstraintLimits,
) -> Result<OfferConstraints, muster_allocator::Error> {
    message.map_or_else(
        || Ok(OfferConstraints::default()),
        |message| OfferConstraints::from_proto(message, limits),
    )
}

/// The least that is worth offering to the framework, by role.
fn min_allocatable(info: &FrameworkInfo) -> BTreeMap<String, Vec<Quantities>> {
    let quantities = |quantities: &ResourceQuantities| {
        quantities
            .quantities
            .iter()
            .filter_map(|(name, scalar)| {
                // Nonsense was refused when the framework subscribed.
                Scalar::from_f64(scalar.value)
                    .ok()
                    .map(|scalar| (Name::from(name.as_str()), scalar))
            })
            .collect()
    };
    info.offer_filters
        .iter()
        .filter_map(|(role, filters)| {
            let minimum = filters.min_allocatable_resources.as_ref()?;
            Some((role.clone(), minimum.quantities.iter().map(quantities).collect()))
        })
        .collect()
}
