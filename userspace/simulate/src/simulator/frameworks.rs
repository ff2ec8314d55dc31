//! Frameworks come, go, and want offers or none.

use std::collections::{BTreeMap, BTreeSet};

use muster_allocator::{
    ConstraintLimits, FrameworkCapabilities, FrameworkOptions, OfferConstraints,
};
use muster_api::mesos::framework_info::{self, capability};

use super::Simulator;
use crate::command::{AddFramework, Roles};
use crate::error::{Problem, Refusal, at, refused};
use crate::labels::{FrameworkCapability, Role, words};

const ADD: &str = "add_framework";

impl Simulator {
    pub(super) fn add_framework(&mut self, add: AddFramework) -> Result<(), Refusal> {
        let roles = add.roles.unwrap_or_else(|| vec![Role("*".to_owned())]);
        let subscribed = |field: &str, role: &Role| {
            if roles.contains(role) {
                return Ok(());
            }
            Err(at(format!("{ADD}.{field}"))(Problem::NotSubscribed(role.0.clone())))
        };
        for (index, role) in add.suppressed.iter().enumerate() {
            subscribed(&format!("suppressed[{index}]"), role)?;
        }
        for role in add.min_allocatable.keys() {
            subscribed(&format!("min_allocatable.{}", role.0), role)?;
        }
        let constraints = add.offer_constraints;
        for role in constraints.iter().flat_map(|constraints| constraints.role_constraints.keys()) {
            subscribed(&format!("offer_constraints.role_constraints.{}", role.0), role)?;
        }
        let offer_constraints = match constraints {
            None => OfferConstraints::default(),
            Some(json) => OfferConstraints::from_proto(&json.into(), ConstraintLimits::default())
                .map_err(refused(ADD, "id"))?,
        };
        let options = FrameworkOptions {
            roles: words(roles),
            suppressed: words(add.suppressed).into_iter().collect::<BTreeSet<_>>(),
            capabilities: capabilities(add.capabilities.as_deref()),
            active: true,
            min_allocatable: add
                .min_allocatable
                .into_iter()
                .map(|(role, minima)| (role.0, minima.0))
                .collect(),
            offer_constraints,
        };
        self.allocator.add_framework(&add.id, options, BTreeMap::new()).map_err(refused(ADD, "id"))
    }

    pub(super) fn remove_framework(&mut self, id: &str) -> Result<(), Refusal> {
        self.allocator.remove_framework(id).map_err(refused("remove_framework", "id"))?;
        self.offers.retain(|place, _| place.framework != id);
        self.asked.retain(|(framework, _)| framework != id);
        self.demands.remove(id);
        Ok(())
    }

    pub(super) fn suppress(&mut self, which: Roles) -> Result<(), Refusal> {
        let roles = words(which.roles);
        self.allocator.suppress(&which.id, &roles).map_err(refused("suppress", "id"))
    }

    pub(super) fn revive(&mut self, which: Roles) -> Result<(), Refusal> {
        let roles = words(which.roles);
        self.allocator.revive(&which.id, &roles).map_err(refused("revive", "id"))
    }
}

fn capabilities(known: Option<&[FrameworkCapability]>) -> FrameworkCapabilities {
    let known = known.unwrap_or(&[FrameworkCapability(capability::Type::MultiRole)]);
    let messages: Vec<framework_info::Capability> = known
        .iter()
        .map(|known| {
            let mut message = framework_info::Capability::default();
            message.set_type(known.0);
            message
        })
        .collect();
    FrameworkCapabilities::from_proto(&messages)
}
