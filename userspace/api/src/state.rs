//! The JSON of Mesos' `/state` endpoints, where it is not that of the messages (see
//! [`json`](crate::json)).

use serde_json::{Map, Value, json};

use crate::json::Json;
use crate::mesos::{Attribute, Labels, TaskInfo, TaskStatus, value};

/// `{"rack":"r1","floor":3.0,"slots":"[1-4, 7-8]"}`
pub fn attributes(attributes: &[Attribute]) -> Value {
    let list = |open: char, parts: Vec<String>, close: char| {
        json!(format!("{open}{}{close}", parts.join(", ")))
    };
    let shown = |attribute: &Attribute| match attribute.r#type() {
        value::Type::Scalar => json!(attribute.scalar.map(|scalar| scalar.value)),
        value::Type::Ranges => attribute.ranges.as_ref().map_or(Value::Null, |ranges| {
            let ranges = ranges.range.iter();
            list('[', ranges.map(|r| format!("{}-{}", r.begin, r.end)).collect(), ']')
        }),
        value::Type::Set => {
            attribute.set.as_ref().map_or(Value::Null, |set| list('{', set.item.clone(), '}'))
        }
        value::Type::Text => json!(attribute.text.as_ref().map(|text| &text.value)),
    };
    attributes.iter().map(|attribute| (attribute.name.clone(), shown(attribute))).collect()
}

/// `[{"key":"tier","value":"front"}]`
pub fn labels(labels: Option<&Labels>) -> Value {
    let labels = labels.map(|labels| labels.labels.as_slice()).unwrap_or_default();
    labels.iter().map(|label| json!({ "key": label.key, "value": label.value })).collect()
}

/// One of a task's `statuses`.
pub fn status(status: &TaskStatus) -> Value {
    let mut object = Map::new();
    let mut set = |name: &str, value: Value| object.insert(name.to_owned(), value);
    set("state", json!(status.state().as_str_name()));
    set("timestamp", json!(status.timestamp));
    set("labels", labels(status.labels.as_ref()));
    if let Some(healthy) = status.healthy {
        set("healthy", json!(healthy));
    }
    if let Some(check) = &status.check_status {
        set("check_status", json!(Json(check)));
    }
    if status.reason.is_some() {
        set("reason", json!(status.reason().as_str_name()));
    }
    if let Some(message) = &status.message {
        set("message", json!(message));
    }
    if let Some(container) = &status.container_status {
        set("container_status", json!(Json(container)));
    }
    Value::Object(object)
}

/// A task in its `latest` state, with the `statuses` that are shown of it; `executor` is the id of
/// who runs it, and `resources` what it is shown to hold.
pub fn task<'a>(
    framework: &str,
    executor: &str,
    info: &TaskInfo,
    latest: &TaskStatus,
    statuses: impl IntoIterator<Item = &'a TaskStatus>,
    resources: &Value,
) -> Value {
    let statuses: Vec<Value> = statuses.into_iter().map(status).collect();
    let role = info.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
    let mut object = json!({
        "id": info.task_id.value,
        "name": info.name,
        "framework_id": framework,
        "executor_id": executor,
        "slave_id": info.agent_id.value,
        "state": latest.state().as_str_name(),
        "role": role.unwrap_or_else(|| "*".to_owned()),
        "resources": resources,
        "statuses": statuses,
        "labels": labels(info.labels.as_ref()),
    });
    if let Some(info) = &info.discovery {
        object["discovery"] = json!(Json(info));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::{TaskState, task_status};

    #[test]
    fn attributes_are_an_object() {
        let attribute = |name: &str, kind: value::Type| Attribute {
            name: name.to_owned(),
            r#type: kind.into(),
            ..Attribute::default()
        };
        let range = [(1, 4), (7, 8)].map(|(begin, end)| value::Range { begin, end }).to_vec();
        let shown = attributes(&[
            Attribute {
                text: Some(value::Text { value: "r1".into() }),
                ..attribute("rack", value::Type::Text)
            },
            Attribute {
                scalar: Some(value::Scalar { value: 3.0 }),
                ..attribute("floor", value::Type::Scalar)
            },
            Attribute {
                ranges: Some(value::Ranges { range }),
                ..attribute("slots", value::Type::Ranges)
            },
            Attribute {
                set: Some(value::Set { item: vec!["a".into(), "b".into()] }),
                ..attribute("set", value::Type::Set)
            },
        ]);
        let expected = json!({"rack": "r1", "floor": 3.0, "slots": "[1-4, 7-8]", "set": "{a, b}"});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_task_is_shown_in_its_latest_state() {
        let told = |state: TaskState| TaskStatus { state: state.into(), ..TaskStatus::default() };
        let failed = TaskStatus {
            healthy: Some(false),
            reason: Some(task_status::Reason::ContainerLimitationMemory.into()),
            message: Some("too much".into()),
            ..told(TaskState::TaskFailed)
        };
        let running = told(TaskState::TaskRunning);
        let info = TaskInfo { name: "n".into(), task_id: "t".into(), ..TaskInfo::default() };
        let shown = task("f", "e", &info, &failed, [&running, &failed], &json!({}));
        assert_eq!((&shown["state"], &shown["role"]), (&json!("TASK_FAILED"), &json!("*")));
        assert_eq!((&shown["id"], &shown["executor_id"]), (&json!("t"), &json!("e")));
        let running = json!({"state": "TASK_RUNNING", "timestamp": null, "labels": []});
        assert_eq!(shown["statuses"][0], running);
        let failed = &shown["statuses"][1];
        assert_eq!((&failed["healthy"], &failed["message"]), (&json!(false), &json!("too much")));
        assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_MEMORY");
    }
}
