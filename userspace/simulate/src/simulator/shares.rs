//! Who has how much.

use muster_allocator::RoleShare;
use serde_json::{Value as Json, json};

use super::Simulator;

impl Simulator {
    /// Shares of those who would be served, and all quotas.
    pub(super) fn shares(&self) -> Json {
        let shares = self.allocator.shares();
        let active = shares.roles.iter().filter(|role| role.is_active());
        let roles: Vec<Json> = active.map(role).collect();
        let quotas = self.allocator.quotas();
        let quota = quotas.iter().map(|(role, quota)| {
            let consumed = self.allocator.role(role).map(|role| role.consumed).unwrap_or_default();
            json!({
                "role": role,
                "guarantees": quota.guarantees.to_string(),
                "limits": quota.limits.to_string(),
                "consumed": consumed.to_string(),
            })
        });
        json!({ "roles": roles, "quota": quota.collect::<Vec<_>>() })
    }
}

fn role(role: &RoleShare) -> Json {
    let active = role.frameworks.iter().filter(|framework| framework.active);
    let frameworks: Vec<Json> = active
        .map(|framework| {
            json!({
                "id": framework.id,
                "share": rounded(framework.share),
                "allocations": framework.allocations,
            })
        })
        .collect();
    json!({
        "role": role.name,
        "share": rounded(role.share),
        "allocations": role.allocations,
        "frameworks": frameworks,
    })
}

/// A share to four decimals.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
