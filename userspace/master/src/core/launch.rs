//! Which tasks may be launched.

use muster_api::mesos::TaskInfo;
use muster_resources::Resources;

/// Longest id, as in Mesos: it becomes a directory's name.
const MAX_ID: usize = 255;

/// Checks a task that a framework wants to launch on an agent.
///
/// # Errors
/// The sentence that the framework gets with `TASK_ERROR`.
pub(super) fn check(task: &TaskInfo, agent: &str, pool: &Resources) -> Result<Resources, String> {
    check_id(&task.task_id.value)?;
    if task.agent_id.value != agent {
        return Err(format!(
            "Task uses agent {:?}, but the offers are of agent {agent:?}",
            task.agent_id.value
        ));
    }
    match (&task.command, &task.executor) {
        (Some(_), Some(_)) => {
            return Err("Task has both command and executor; set exactly one".to_owned());
        }
        (None, None) => {
            return Err("Task has neither command nor executor; set exactly one".to_owned());
        }
        (None, Some(_)) => {
            return Err(
                "Task has a custom executor, which this version cannot run; use command".to_owned()
            );
        }
        (Some(_), None) => {}
    }
    let grace = task.kill_policy.as_ref().and_then(|policy| policy.grace_period);
    if grace.is_some_and(|grace| grace.nanoseconds < 0) {
        return Err("kill_policy.grace_period is negative".to_owned());
    }
    if task.max_completion_time.is_some_and(|time| time.nanoseconds < 0) {
        return Err("max_completion_time is negative".to_owned());
    }
    let resources = Resources::from_proto(&task.resources)
        .map_err(|error| format!("Task uses invalid resources: {error}"))?
        .unallocated();
    if resources.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    if !pool.contains(&resources) {
        return Err(format!("Task uses more resources {resources} than available {pool}"));
    }
    Ok(resources)
}

fn check_id(id: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("task_id {id:?} {why}"));
    match id {
        "" => bad("is empty"),
        "." | ".." => bad("names a directory"),
        id if id.len() > MAX_ID => bad("is longer than 255 bytes"),
        id if id.contains(['/', '\\']) || id.chars().any(char::is_control) => {
            bad("holds a slash or a control character")
        }
        _ => Ok(()),
    }
}
