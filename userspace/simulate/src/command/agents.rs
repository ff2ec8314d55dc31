//! Commands about agents.

use serde::Deserialize;

use crate::labels::{AgentCapability, Attributes, Role};
use crate::seconds::Seconds;
use crate::stuff::Stuff;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddAgent {
    pub(crate) id: String,
    pub(crate) resources: Stuff,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    /// Its id by default.
    pub(crate) hostname: Option<String>,
    pub(crate) domain: Option<Site>,
    /// All by default.
    pub(crate) capabilities: Option<Vec<AgentCapability>>,
    #[serde(default)]
    pub(crate) used: Vec<Used>,
}

/// Only what is given changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAgent {
    pub(crate) id: String,
    pub(crate) resources: Option<Stuff>,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) hostname: Option<String>,
    pub(crate) domain: Option<Site>,
    pub(crate) capabilities: Option<Vec<AgentCapability>>,
}

/// A fault domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Site {
    pub(crate) region: String,
    pub(crate) zone: String,
}

/// What a framework's tasks use already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    pub(crate) framework: String,
    pub(crate) role: Role,
    pub(crate) resources: Stuff,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maintenance {
    pub(crate) agent: String,
    pub(crate) start: Option<Seconds>,
    pub(crate) duration: Option<Seconds>,
}
