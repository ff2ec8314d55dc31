//! Mesos' JSON of things that are protobuf messages elsewhere.

use std::borrow::Borrow;

use muster_api::json::Json;
use muster_api::mesos::{FrameworkInfo, TaskInfo, TaskStatus};
use muster_api::state;
use muster_resources::Resources;
use serde_json::{Value, json};

use crate::core::{Executor, ExecutorKey};

pub(super) fn task(
    framework: &str,
    info: &TaskInfo,
    latest: &TaskStatus,
    held: &Resources,
) -> Value {
    let executor = info.executor.as_ref().map_or("", |executor| &executor.executor_id.value);
    state::task(framework, executor, info, latest, [latest], &held.totals())
}

pub(super) fn executor(key: &ExecutorKey, executor: &Executor) -> Value {
    let info = &executor.info;
    let mut object = json!({
        "executor_id": info.executor_id.value,
        "name": info.name(),
        "framework_id": key.0,
        "slave_id": key.1,
        "role": executor.role,
        "resources": executor.resources.totals(),
        "labels": state::labels(info.labels.as_ref()),
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
