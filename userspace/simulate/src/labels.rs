//! Words with rules: roles, attributes, capabilities.

use muster_api::mesos::{Attribute, agent_info, framework_info};
use serde::Deserialize;

/// A role, as [`muster_resources::role::validate`] has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Role(pub(crate) String);

impl TryFrom<String> for Role {
    type Error = muster_resources::Problem;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        muster_resources::role::validate(&text)?;
        Ok(Self(text))
    }
}

/// The words of roles.
pub(crate) fn words(roles: Vec<Role>) -> Vec<String> {
    roles.into_iter().map(|role| role.0).collect()
}

/// Attributes of an agent: `rack:r1;floor:3`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Attributes(pub(crate) Vec<Attribute>);

impl TryFrom<String> for Attributes {
    type Error = muster_resources::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        muster_resources::attributes::parse(&text).map(Self)
    }
}

/// Something that an agent knows, by Mesos' name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AgentCapability(pub(crate) agent_info::capability::Type);

impl TryFrom<String> for AgentCapability {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        use agent_info::capability::Type;
        match Type::from_str_name(&name) {
            Some(known) if known != Type::Unknown => Ok(Self(known)),
            _ => Err(format!(
                "{name:?} is no capability of agents; those that matter here are MULTI_ROLE, \
                 HIERARCHICAL_ROLE and RESERVATION_REFINEMENT"
            )),
        }
    }
}

/// Something that a framework knows, by Mesos' name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FrameworkCapability(pub(crate) framework_info::capability::Type);

impl TryFrom<String> for FrameworkCapability {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        use framework_info::capability::Type;
        match Type::from_str_name(&name) {
            Some(known) if known != Type::Unknown => Ok(Self(known)),
            _ => Err(format!(
                "{name:?} is no capability of frameworks; those that matter here are MULTI_ROLE, \
                 GPU_RESOURCES, SHARED_RESOURCES, REVOCABLE_RESOURCES, RESERVATION_REFINEMENT \
                 and REGION_AWARE"
            )),
        }
    }
}
