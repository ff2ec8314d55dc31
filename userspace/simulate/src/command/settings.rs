//! Commands about roles, time and the allocator itself.

use serde::Deserialize;

use crate::amounts::{Amounts, Ceilings, Minima};
use crate::labels::Role;
use crate::seconds::Seconds;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetWeight {
    pub(crate) role: Role,
    pub(crate) weight: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetQuota {
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) guarantees: Amounts,
    #[serde(default)]
    pub(crate) limits: Ceilings,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    pub(crate) seconds: Seconds,
}

/// What is not given stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) seed: Option<u64>,
    pub(crate) role_sorter: Option<Sorter>,
    pub(crate) framework_sorter: Option<Sorter>,
    /// Names of resources that do not count for shares.
    pub(crate) exclude: Option<Vec<String>>,
    pub(crate) min_allocatable: Option<Minima>,
    pub(crate) allocation_interval: Option<Seconds>,
    pub(crate) filter_gpu_resources: Option<bool>,
    /// The master's region.
    pub(crate) region: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sorter {
    Drf,
    Random,
}
