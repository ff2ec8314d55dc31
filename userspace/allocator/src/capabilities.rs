//! What frameworks and agents know how to deal with.

use muster_api::mesos::{agent_info, framework_info};
use muster_resources::Resource;

/// Capabilities of a framework that change what it is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameworkCapabilities {
    /// It knows GPUs; others get nothing of agents that have some.
    pub gpu_resources: bool,
    /// It can be in several roles; agents must know roles then.
    pub multi_role: bool,
    /// It is offered reservations that have been refined.
    pub reservation_refinement: bool,
    /// It is offered what may be taken back at any time.
    pub revocable_resources: bool,
    /// It is offered what several tasks may use at once.
    pub shared_resources: bool,
    /// It is offered agents of regions other than the master's.
    pub region_aware: bool,
}

impl FrameworkCapabilities {
    /// Whether a framework that has these may be offered such a resource.
    pub(crate) fn allow(self, entry: &Resource) -> bool {
        (self.shared_resources || !entry.is_shared())
            && (self.revocable_resources || !entry.is_revocable())
            && (self.reservation_refinement || !entry.has_refined_reservations())
    }

    /// All of them.
    pub const ALL: Self = Self {
        gpu_resources: true,
        multi_role: true,
        reservation_refinement: true,
        revocable_resources: true,
        shared_resources: true,
        region_aware: true,
    };

    /// Reads the messages; those that change no offers do not count.
    pub fn from_proto(capabilities: &[framework_info::Capability]) -> Self {
        use framework_info::capability::Type;
        let mut all = Self::default();
        for capability in capabilities {
            match capability.r#type() {
                Type::GpuResources => all.gpu_resources = true,
                Type::MultiRole => all.multi_role = true,
                Type::ReservationRefinement => all.reservation_refinement = true,
                Type::RevocableResources => all.revocable_resources = true,
                Type::SharedResources => all.shared_resources = true,
                Type::RegionAware => all.region_aware = true,
                Type::Unknown | Type::TaskKillingState | Type::PartitionAware => {}
            }
        }
        all
    }
}

/// Capabilities of an agent that change whom it is offered to. By default it has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentCapabilities {
    /// It can tell tasks of different roles of one framework apart.
    pub multi_role: bool,
    /// It knows roles with slashes.
    pub hierarchical_role: bool,
    /// It knows refined reservations.
    pub reservation_refinement: bool,
}

impl AgentCapabilities {
    /// None of them: an agent from before Mesos 1.2.
    pub const NONE: Self =
        Self { multi_role: false, hierarchical_role: false, reservation_refinement: false };

    /// Reads the messages; those that change no offers do not count.
    pub fn from_proto(capabilities: &[agent_info::Capability]) -> Self {
        use agent_info::capability::Type;
        let has = |wanted| capabilities.iter().any(|capability| capability.r#type() == wanted);
        Self {
            multi_role: has(Type::MultiRole),
            hierarchical_role: has(Type::HierarchicalRole),
            reservation_refinement: has(Type::ReservationRefinement),
        }
    }
}

impl Default for AgentCapabilities {
    fn default() -> Self {
        Self { multi_role: true, hierarchical_role: true, reservation_refinement: true }
    }
}
