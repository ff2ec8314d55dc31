//! The network that an application's instances are in.

use serde::{Deserialize, Serialize};

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// The agent's own.
    #[default]
    Host,
    /// Behind a bridge of the engine's.
    Bridge,
    /// One of the engine's that has this name.
    Container(String),
}
