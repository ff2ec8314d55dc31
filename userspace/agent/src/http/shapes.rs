//! Mesos' JSON of things that are protobuf messages elsewhere.

use muster_api::json::Json;
use muster_api::mesos::{
    Attribute, ContainerStatus, Labels, Resource, TaskStatus, network_info, value,
};
use serde_json::{Map, Value, json};

/// `{"cpus":4.0,"mem":8192.0,"ports":"[31000-32000]"}`: what the endpoints call resources.
/// The four that dashboards add up are always there.
pub(super) fn resources<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Value {
    let mut scalars: Map<String, Value> = ["cpus", "gpus", "mem", "disk"]
        .map(|name| (name.to_owned(), json!(0.0)))
        .into_iter()
        .collect();
    let mut rest = Map::new();
    for resource in resources {
        let name = resource.name.clone();
        match resource.r#type() {
            value::Type::Scalar => {
                let sum = scalars.entry(name).or_insert_with(|| json!(0.0));
                let value = resource.scalar.map_or(0.0, |scalar| scalar.value);
                *sum = json!(sum.as_f64().unwrap_or(0.0) + value);
            }
            value::Type::Ranges => {
                let more = resource.ranges.as_ref().map(|ranges| ranges.range.as_slice());
                append(&mut rest, name, &bare_ranges(more.unwrap_or_default()), ('[', ']'));
            }
            value::Type::Set => {
                let more = resource.set.as_ref().map(|set| set.item.join(", "));
                append(&mut rest, name, &more.unwrap_or_default(), ('{', '}'));
            }
            value::Type::Text => {}
        }
    }
    scalars.append(&mut rest);
    Value::Object(scalars)
}

/// Adds to a bracketed list.
fn append(object: &mut Map<String, Value>, name: String, more: &str, brackets: (char, char)) {
    let (open, close) = brackets;
    let list = match object.get(&name).and_then(Value::as_str) {
        Some(list) => format!("{}, {more}{close}", list.trim_end_matches(close)),
        None => format!("{open}{more}{close}"),
    };
    object.insert(name, json!(list));
}

fn bare_ranges(ranges: &[value::Range]) -> String {
    let texts: Vec<String> =
        ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
    texts.join(", ")
}

pub(super) fn attributes(attributes: &[Attribute]) -> Value {
    let shown = |attribute: &Attribute| match attribute.r#type() {
        value::Type::Scalar => json!(attribute.scalar.map(|scalar| scalar.value)),
        value::Type::Ranges => {
            json!(attribute.ranges.as_ref().map(|r| format!("[{}]", bare_ranges(&r.range))))
        }
        value::Type::Set => {
            json!(attribute.set.as_ref().map(|set| format!("{{{}}}", set.item.join(", "))))
        }
        value::Type::Text => json!(attribute.text.as_ref().map(|text| &text.value)),
    };
    attributes.iter().map(|attribute| (attribute.name.clone(), shown(attribute))).collect()
}

pub(super) fn labels(labels: Option<&Labels>) -> Value {
    let labels = labels.map(|labels| labels.labels.as_slice()).unwrap_or_default();
    labels.iter().map(|label| json!({ "key": label.key, "value": label.value })).collect()
}

pub(super) fn status(status: &TaskStatus) -> Value {
    let mut object = Map::new();
    object.insert("state".to_owned(), json!(status.state().as_str_name()));
    object.insert("timestamp".to_owned(), json!(status.timestamp));
    if let Some(healthy) = status.healthy {
        object.insert("healthy".to_owned(), json!(healthy));
    }
    if let Some(check) = &status.check_status {
        object.insert("check_status".to_owned(), json!(Json(check)));
    }
    if status.reason.is_some() {
        object.insert("reason".to_owned(), json!(status.reason().as_str_name()));
    }
    if let Some(message) = &status.message {
        object.insert("message".to_owned(), json!(message));
    }
    if let Some(container) = &status.container_status {
        object.insert("container_status".to_owned(), container_status(container));
    }
    Value::Object(object)
}

pub(super) fn container_status(status: &ContainerStatus) -> Value {
    let address = |address: &network_info::IpAddress| {
        json!({
            "protocol": address.protocol().as_str_name(),
            "ip_address": address.ip_address,
        })
    };
    let networks = status.network_infos.iter().map(|network| {
        json!({ "ip_addresses": network.ip_addresses.iter().map(address).collect::<Vec<_>>() })
    });
    json!({
        "container_id": status.container_id.as_ref().map(Json),
        "executor_pid": status.executor_pid,
        "network_infos": networks.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_resources::attributes::parse;

    fn scalar(name: &str, value: f64) -> Resource {
        Resource {
            name: name.into(),
            r#type: value::Type::Scalar.into(),
            scalar: Some(value::Scalar { value }),
            ..Default::default()
        }
    }

    fn ports(begin: u64, end: u64) -> Resource {
        Resource {
            name: "ports".into(),
            r#type: value::Type::Ranges.into(),
            ranges: Some(value::Ranges { range: vec![value::Range { begin, end }] }),
            ..Default::default()
        }
    }

    #[test]
    fn resources_are_an_object_with_the_four_always_there() {
        let shown =
            resources(&[scalar("cpus", 0.5), ports(1, 2), scalar("cpus", 1.0), ports(7, 7)]);
        let expected =
            json!({"cpus": 1.5, "gpus": 0.0, "mem": 0.0, "disk": 0.0, "ports": "[1-2, 7-7]"});
        assert_eq!(shown, expected);
    }

    #[test]
    fn attributes_are_an_object() {
        let shown = attributes(&parse("rack:r1;floor:3;slots:[1-4]").unwrap());
        assert_eq!(shown, json!({"rack": "r1", "floor": 3.0, "slots": "[1-4]"}));
    }
}
