//! Partial updates: the fields given replace those of the application as it is.

use serde_json::{Map, Value, json};

/// Fields that say the same thing in different ways: giving one drops the others.
const ALTERNATIVES: [&[&str]; 2] = [&["ports", "portDefinitions"], &["uris", "fetch"]];

/// The definition `current` with the fields of `update` that are not null in place of its
/// own. Fields are replaced whole, as Marathon does: there is no merging inside them.
pub fn merge(mut current: Map<String, Value>, update: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in update.iter().filter(|(_, value)| !value.is_null()) {
        for alternative in ALTERNATIVES.iter().filter(|names| names.contains(&name.as_str())) {
            for other in *alternative {
                if !update.contains_key(*other) {
                    current.remove(*other);
                }
            }
        }
        current.insert(name.clone(), value.clone());
    }
    // The two ways of naming the network are alternatives too, one inside the container.
    let names_network = |map: &Map<String, Value>| {
        map.get("container").and_then(|c| c.pointer("/docker/network")).is_some()
    };
    if names_network(update) && !update.contains_key("networks") {
        current.remove("networks");
    }
    // So are the ports that go with it.
    let is_host = |map: &Map<String, Value>| {
        let old = map.get("container").and_then(|c| c.pointer("/docker/network"));
        let new = map.get("networks").and_then(|n| n.pointer("/0/mode"));
        let host = [json!("HOST"), json!("host")];
        old.or(new).is_none_or(|mode| host.contains(mode))
            && map
                .get("networks")
                .is_none_or(|n| n.as_array().is_none_or(Vec::is_empty) || new.is_some())
    };
    if !is_host(&current) {
        for name in ["ports", "portDefinitions", "requirePorts"] {
            if !update.contains_key(name) {
                current.remove(name);
            }
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn given_fields_replace_and_null_keeps() {
        let current = map(&json!({"cmd": "a", "portDefinitions": [{"port": 1}], "cpus": 1}));
        let update = map(&json!({"cmd": null, "ports": [2], "cpus": 2}));
        assert_eq!(merge(current, &update), map(&json!({"cmd": "a", "ports": [2], "cpus": 2})));
    }

    #[test]
    fn a_network_in_the_container_replaces_networks() {
        let current = map(&json!({"networks": [{"mode": "host"}]}));
        let update = map(&json!({"container": {"docker": {"network": "HOST"}}}));
        assert_eq!(merge(current, &update.clone()), update);
    }
}
