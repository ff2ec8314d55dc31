//! Agents that will be down for a while.

use std::time::Duration;

/// When an agent will be down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailability {
    /// When it starts, on the caller's clock.
    pub start: Duration,
    /// For how long; without, forever.
    pub duration: Option<Duration>,
}

/// A request to a framework to leave an agent by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InverseOffer {
    /// The framework.
    pub framework: String,
    /// The agent.
    pub agent: String,
    /// When the agent will be down.
    pub unavailability: Unavailability,
}
