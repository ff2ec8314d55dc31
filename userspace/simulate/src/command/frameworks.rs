//! Commands about frameworks.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::amounts::Minima;
use crate::constraints::Constraints;
use crate::labels::{FrameworkCapability, Role};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddFramework {
    pub(crate) id: String,
    /// `*` by default.
    pub(crate) roles: Option<Vec<Role>>,
    /// `MULTI_ROLE` by default.
    pub(crate) capabilities: Option<Vec<FrameworkCapability>>,
    #[serde(default)]
    pub(crate) suppressed: Vec<Role>,
    #[serde(default)]
    pub(crate) min_allocatable: BTreeMap<Role, Minima>,
    pub(crate) offer_constraints: Option<Constraints>,
}

/// A framework and some of its roles; all by default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roles {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) roles: Vec<Role>,
}
