//! `/offer_constraints_debug`: which agents frameworks get no offers of.

use serde_json::{Value, json};

use crate::core::Master;

pub(super) fn debug(master: &Master) -> Value {
    let frameworks: serde_json::Map<String, Value> = master
        .frameworks()
        .iter()
        .filter(|(_, framework)| !framework.completed)
        .map(|(id, framework)| {
            let excluded: serde_json::Map<String, Value> = framework
                .roles()
                .into_iter()
                .map(|role| {
                    // A framework that the allocator does not know is offered nothing at all.
                    let agents = master.allocator().excluded_agents(id, &role).unwrap_or_default();
                    (role, json!(agents))
                })
                .collect();
            let entry = json!({
                "suppressed_roles": framework.suppressed,
                "excluded_by_attribute_constraints": excluded,
            });
            (id.clone(), entry)
        })
        .collect();
    json!({ "frameworks": frameworks })
}
