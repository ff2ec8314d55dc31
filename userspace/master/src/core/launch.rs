//! Which tasks may be launched.

use muster_api::mesos::{ExecutorInfo, TaskInfo, executor_info};
use muster_resources::Resources;

/// Longest id, as in Mesos: it becomes a directory's name.
const MAX_ID: usize = 255;

/// Checks a task that a framework wants to launch on an agent.
///
/// # Errors
/// The sentence that the framework gets with `TASK_ERROR`.
pub(super) fn check(task: &TaskInfo, agent: &str, pool: &Resources) -> Result<Resources, String> {
    match (&task.command, &task.executor) {
        (Some(_), Some(_)) => {
            return Err("Task has both command and executor; set exactly one".to_owned());
        }
        (None, None) => {
            return Err("Task has neither command nor executor; set exactly one".to_owned());
        }
        (None, Some(executor)) if executor.r#type() == executor_info::Type::Default => {
            let problem = "executor.type is DEFAULT, which is for task groups; use LAUNCH_GROUP";
            return Err(problem.to_owned());
        }
        (None, Some(executor)) => check_executor(executor)?,
        (Some(_), None) => {}
    }
    let resources = check_any(task, agent)?;
    if !pool.contains(&resources) {
        return Err(format!("Task uses more resources {resources} than available {pool}"));
    }
    Ok(resources)
}

/// Checks a task of a group, which the executor DEFAULT runs or another does.
pub(super) fn check_member(
    task: &TaskInfo,
    agent: &str,
    default: bool,
) -> Result<Resources, String> {
    if task.executor.is_some() {
        return Err("it has an executor; it is run by that of the group".to_owned());
    }
    if default && task.command.is_none() {
        return Err("it has no command, which the executor DEFAULT needs".to_owned());
    }
    if !default && task.command.is_some() {
        return Err("it has a command, which only the executor DEFAULT runs".to_owned());
    }
    check_any(task, agent)
}

/// What holds for every task, however it is launched.
fn check_any(task: &TaskInfo, agent: &str) -> Result<Resources, String> {
    check_id("task_id", &task.task_id.value)?;
    if task.agent_id.value != agent {
        return Err(format!(
            "Task uses agent {:?}, but the offers are of agent {agent:?}",
            task.agent_id.value
        ));
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
    Ok(resources)
}

/// Checks an executor by itself.
pub(super) fn check_executor(executor: &ExecutorInfo) -> Result<(), String> {
    check_id("executor.executor_id", &executor.executor_id.value)?;
    let default = executor.r#type() == executor_info::Type::Default;
    if default && executor.command.is_some() {
        return Err("executor.command is set, which does not go with the type DEFAULT".to_owned());
    }
    if !default && executor.command.is_none() {
        return Err(
            "executor.command is not set, which an executor that is not DEFAULT needs".to_owned()
        );
    }
    if executor.shutdown_grace_period.is_some_and(|period| period.nanoseconds < 0) {
        return Err("executor.shutdown_grace_period is negative".to_owned());
    }
    Ok(())
}

fn check_id(field: &str, id: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("{field} {id:?} {why}"));
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
