//! Fields of Marathon's that do nothing here yet: refused unless they ask for nothing.

use serde_json::Value;

use crate::reader::{Field, Object};

/// What `GET` adds to an application, and what only other calls use.
const READ_ONLY: [&str; 12] = [
    "version",
    "versionInfo",
    "tasksStaged",
    "tasksRunning",
    "tasksHealthy",
    "tasksUnhealthy",
    "deployments",
    "tasks",
    "lastTaskFailure",
    "taskStats",
    "tasksStats",
    "readinessCheckResults",
];

/// Field and what to do instead.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("check", "use healthChecks"),
    ("dependencies", "start the applications in order"),
    ("executorResources", "leave it out"),
    ("gpus", "leave it out"),
    ("residency", "leave it out"),
    ("resourceLimits", "leave it out: cpus and mem are the limits"),
    ("storeUrls", "put the files into the image"),
    ("taskRateLimit", "use backoffSeconds"),
];

/// Takes the fields that are read-only or unsupported out of `object`.
pub(super) fn read(object: &mut Object<'_>) {
    object.ignore(&READ_ONLY);
    for (name, advice) in UNSUPPORTED {
        if let Some(field) = object.field(name)
            && !asks_for_nothing(field.value())
        {
            field.refuse(format!("is not supported yet: {advice}"));
        }
    }
    if let Some(field) = object.field("secrets")
        && !asks_for_nothing(field.value())
    {
        refuse_secret(&field, "leave it out, and what refers to it");
    }
    if let Some(field) = object.field("executor")
        && field.string().is_some_and(|executor| !["", "//cmd"].contains(&executor))
    {
        field.refuse("custom executors are not supported yet: leave it out");
    }
}

/// Refuses what needs a store of secrets, as Marathon does where its feature `secrets` is off.
pub(super) fn refuse_secret(field: &Field<'_>, advice: &str) {
    field.refuse(format!(
        "Feature secrets is not enabled: there is no store to look secrets up in; {advice}"
    ));
}

/// Whether a value is what the field has when it is not given.
fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
