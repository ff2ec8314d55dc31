//! Commands about cycles, and what becomes of offers.

use std::time::Duration;

use serde::Deserialize;

use crate::seconds::Seconds;
use crate::stuff::{One, Stuff};

/// For how long refused offers are not made again unless said otherwise, as in Mesos.
const REFUSE: Seconds = Seconds(Duration::from_secs(5));

const fn refuse() -> Seconds {
    REFUSE
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allocate {
    /// All by default.
    pub(crate) agents: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    pub(crate) framework: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) resources: Stuff,
    #[serde(default)]
    pub(crate) rest: Rest,
}

/// What becomes of an offer's rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rest {
    #[serde(default = "refuse")]
    pub(crate) refuse_seconds: Seconds,
}

impl Default for Rest {
    fn default() -> Self {
        Self { refuse_seconds: REFUSE }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decline {
    pub(crate) framework: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    #[serde(default = "refuse")]
    pub(crate) refuse_seconds: Seconds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) framework: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) resources: Stuff,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transform {
    pub(crate) framework: String,
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) op: Op,
}

/// An operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Reserve(Stuff),
    Unreserve(Stuff),
    Create(Stuff),
    Destroy(Stuff),
    GrowVolume { volume: One, addition: One },
    ShrinkVolume { volume: One, subtract: f64 },
}

/// An answer to an inverse offer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) framework: String,
    pub(crate) agent: String,
    #[serde(default = "refuse")]
    pub(crate) refuse_seconds: Seconds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demand {
    pub(crate) framework: String,
    pub(crate) task: Stuff,
}
