//! Mesos' JSON of things that are protobuf messages elsewhere.

use std::borrow::Borrow;

use muster_api::json::Json;
use muster_api::mesos::{Attribute, FrameworkInfo, Labels, TaskInfo, TaskStatus, value};
use muster_resources::Resources;
use serde_json::{Map, Value, json};

use crate::core::{Executor, ExecutorKey};

/// `{"cpus":4.0,"mem":8192.0,"ports":"[31000-32000]"}`: what the endpoints call resources.
/// The four that dashboards add up are always there.
pub(super) fn resources(resources: &Resources) -> Value {
    let mut object = Map::new();
    for name in ["cpus", "gpus", "mem", "disk"] {
        object.insert(name.to_owned(), json!(0.0));
    }
    for (name, quantity) in resources.scalar_totals() {
        object.insert(name.to_string(), json!(quantity.as_f64()));
    }
    for (name, ranges) in resources.range_totals() {
        object.insert(name.to_string(), json!(ranges.to_string()));
    }
    Value::Object(object)
}

pub(super) fn attributes(attributes: &[Attribute]) -> Value {
    let mut object = Map::new();
    for attribute in attributes {
        let value = match attribute.r#type() {
            value::Type::Scalar => json!(attribute.scalar.as_ref().map(|scalar| scalar.value)),
            value::Type::Ranges => json!(attribute.ranges.as_ref().map(|ranges| {
                let ranges: Vec<String> = ranges
                    .range
                    .iter()
                    .map(|range| format!("{}-{}", range.begin, range.end))
                    .collect();
                format!("[{}]", ranges.join(","))
            })),
            value::Type::Set => {
                json!(attribute.set.as_ref().map(|set| format!("{{{}}}", set.item.join(","))))
            }
            value::Type::Text => json!(attribute.text.as_ref().map(|text| &text.value)),
        };
        object.insert(attribute.name.clone(), value);
    }
    Value::Object(object)
}

pub(super) fn labels(labels: Option<&Labels>) -> Value {
    let labels = labels.map(|labels| labels.labels.as_slice()).unwrap_or_default();
    labels.iter().map(|label| json!({ "key": label.key, "value": label.value })).collect()
}

pub(super) fn status(status: &TaskStatus) -> Value {
    let mut object = json!({
        "state": status.state().as_str_name(),
        "timestamp": status.timestamp,
        "labels": labels(status.labels.as_ref()),
    });
    if let Some(healthy) = status.healthy {
        object["healthy"] = json!(healthy);
    }
    if let Some(check) = &status.check_status {
        object["check_status"] = json!(Json(check));
    }
    if status.reason.is_some() {
        object["reason"] = json!(status.reason().as_str_name());
    }
    if let Some(message) = &status.message {
        object["message"] = json!(message);
    }
    if let Some(container) = &status.container_status {
        object["container_status"] = json!(Json(container));
    }
    object
}

pub(super) fn task(
    framework: &str,
    info: &TaskInfo,
    latest: &TaskStatus,
    held: &Resources,
) -> Value {
    let role = info.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
    let mut object = json!({
        "id": info.task_id.value,
        "name": info.name,
        "framework_id": framework,
        "executor_id": info.executor.as_ref().map_or("", |executor| &executor.executor_id.value),
        "slave_id": info.agent_id.value,
        "state": latest.state().as_str_name(),
        "role": role.unwrap_or_else(|| "*".to_owned()),
        "resources": resources(held),
        "statuses": [status(latest)],
        "labels": labels(info.labels.as_ref()),
    });
    if let Some(info) = &info.discovery {
        object["discovery"] = json!(Json(info));
    }
    object
}

pub(super) fn executor(key: &ExecutorKey, executor: &Executor) -> Value {
    let info = &executor.info;
    let mut object = json!({
        "executor_id": info.executor_id.value,
        "name": info.name(),
        "framework_id": key.0,
        "slave_id": key.1,
        "role": executor.role,
        "resources": resources(&executor.resources),
        "labels": labels(info.labels.as_ref()),
        "type": info.r#type().as_str_name(),
    });
    if let Some(command) = &info.command {
        object["command"] = json!(Json(command));
    }
    object
}

pub(super) fn capabilities(info: &FrameworkInfo) -> Value {
    info.capabilities.iter().map(|capability| json!(capability.r#type().as_str_name())).collect()
}

pub(super) fn sum(parts: impl Iterator<Item = impl Borrow<Resources>>) -> Resources {
    let mut total = Resources::default();
    for part in parts {
        total += part.borrow();
    }
    total
}
