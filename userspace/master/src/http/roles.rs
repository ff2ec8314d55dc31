//! `/roles`.

use muster_api::mesos::{FrameworkId, Role};
use muster_resources::{Limits, Name, Quantities, Scalar};
use serde_json::{Value, json};

use crate::core::{Master, RoleUse};
use crate::quota::scalars;

/// What is to be said of a role.
struct Entry {
    name: String,
    weight: f64,
    frameworks: Vec<String>,
    usage: RoleUse,
}

fn entries(master: &Master) -> impl Iterator<Item = Entry> {
    let mut uses = master.role_uses();
    master.known_roles().into_iter().map(move |name| {
        let known = master.allocator().role(&name);
        Entry {
            weight: master.weights().get(&name).copied().unwrap_or(1.0),
            frameworks: known.into_iter().flat_map(|role| role.frameworks).collect(),
            usage: uses.remove(&name).unwrap_or_default(),
            name,
        }
    })
}

pub(super) fn roles(master: &Master) -> Value {
    let quotas = master.quotas();
    let list: Vec<Value> = entries(master)
        .map(|Entry { name, weight, frameworks, usage }| {
            let quota = quotas.get(&name).cloned().unwrap_or_default();
            json!({
                "name": name,
                "weight": weight,
                "quota": {
                    "role": name,
                    "guarantee": amounts(&quota.guarantees),
                    "limit": limits(&quota.limits),
                    "consumed": amounts(&usage.consumed()),
                },
                "resources": amounts(&held(&usage)),
                "allocated": amounts(&usage.allocated),
                "offered": amounts(&usage.offered),
                "reserved": amounts(&usage.reserved),
                "frameworks": frameworks,
            })
        })
        .collect();
    json!({ "roles": list })
}

/// The same in the v1 API, which has only the four resources that are always scalars.
pub(super) fn messages(master: &Master) -> Vec<Role> {
    let message = |Entry { name, weight, frameworks, usage }| Role {
        name,
        weight,
        frameworks: frameworks.into_iter().map(FrameworkId::from).collect(),
        resources: scalars(
            &held(&usage)
                .iter()
                .filter(|(name, _)| ["cpus", "mem", "disk", "gpus"].contains(&name.as_str()))
                .map(|(name, amount)| (name.clone(), amount))
                .collect(),
        ),
    };
    entries(master).map(message).collect()
}

fn held(usage: &RoleUse) -> Quantities {
    let mut held = usage.allocated.clone();
    held.add_all(&usage.offered);
    held
}

fn amounts(quantities: &Quantities) -> Value {
    quantities.iter().map(entry).collect()
}

fn limits(limits: &Limits) -> Value {
    limits.iter().map(entry).collect()
}

fn entry((name, amount): (&Name, Scalar)) -> (String, Value) {
    (name.as_str().to_owned(), json!(amount.as_f64()))
}
