//! One framework.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::FrameworkOptions;
use crate::ids::{AgentId, ClientId, RoleId};

/// What is known of a framework.
#[derive(Clone, Debug)]
pub(crate) struct Framework {
    pub(crate) id: String,
    /// Stands for it in draws.
    pub(crate) subject: u64,
    pub(crate) options: FrameworkOptions,
    /// Its place in each role that it is subscribed to or still has something in.
    pub(crate) places: BTreeMap<RoleId, ClientId>,
    /// Until when it does not want inverse offers of agents.
    pub(crate) inverse_filters: BTreeMap<AgentId, Duration>,
}

impl Framework {
    pub(crate) fn is_subscribed(&self, role: &str) -> bool {
        self.options.roles.iter().any(|own| own == role)
    }

    /// Whether it wants offers in a role.
    pub(crate) fn wants(&self, role: &str) -> bool {
        self.options.active && self.is_subscribed(role) && !self.options.suppressed.contains(role)
    }
}
