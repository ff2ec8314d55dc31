//! Tasks, executors and frameworks as the v1 API shows them.

use std::collections::BTreeMap;

use muster_api::TaskStateExt;
use muster_api::mesos::agent::response::{
    GetExecutors, GetFrameworks, GetTasks, get_executors, get_frameworks,
};
use muster_api::mesos::{ExecutorInfo, FrameworkInfo, Task as Message};

use super::Agent;
use crate::{Task, TaskKey};

pub(super) fn tasks(agent: &Agent) -> GetTasks {
    let mut answer = GetTasks::default();
    for task in agent.tasks() {
        let key = TaskKey {
            framework: task.framework_id().value.clone(),
            task: task.info().task_id.value.clone(),
        };
        let list = if task.status().state().is_terminal() {
            &mut answer.terminated_tasks
        } else if agent.executors().any(|executor| executor.queues(&key)) {
            &mut answer.queued_tasks
        } else {
            &mut answer.launched_tasks
        };
        list.push(describe(task));
    }
    answer.completed_tasks = agent.completed().map(describe).collect();
    answer
}

fn describe(task: &Task) -> Message {
    let info = task.info().clone();
    let status = task.status();
    // As in Mesos, whose tasks are those of their framework's user.
    let user = task.framework.as_ref().map(|framework| framework.user.clone());
    Message {
        executor_id: Some(task.executor_id().into()),
        name: info.name,
        task_id: info.task_id,
        framework_id: task.framework_id().clone(),
        agent_id: info.agent_id,
        state: status.state,
        resources: info.resources,
        statuses: task.history().to_vec(),
        status_update_state: Some(status.state),
        status_update_uuid: status.uuid.clone(),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        user: info.command.and_then(|command| command.user).or(user),
        health_check: info.health_check,
        kill_policy: info.kill_policy,
        limits: info.limits,
    }
}

/// As in Mesos, a task without an executor has one of its own.
pub(super) fn executors(agent: &Agent) -> GetExecutors {
    let executor = |executor_info| get_executors::Executor { executor_info };
    let made = |task: &Task| ExecutorInfo {
        executor_id: task.executor_id().into(),
        framework_id: Some(task.framework_id().clone()),
        name: Some(format!("Command Executor (Task: {})", task.info().task_id.value)),
        command: task.info().command.clone(),
        ..ExecutorInfo::default()
    };
    let (over, live): (Vec<&Task>, Vec<&Task>) = agent
        .tasks()
        .filter(|task| task.host().is_none())
        .partition(|task| task.status().state().is_terminal());
    let past = agent.completed().filter(|task| task.host().is_none());
    let own = agent.executors().map(|executor| executor.info().clone());
    let past_own = agent.completed_executors().map(|executor| executor.info().clone());
    GetExecutors {
        executors: own.chain(live.into_iter().map(made)).map(executor).collect(),
        completed_executors: past_own
            .chain(over.into_iter().chain(past).map(made))
            .map(executor)
            .collect(),
    }
}

/// Frameworks with tasks or executors here, as they were when the master said last what they are.
pub(super) fn frameworks(agent: &Agent) -> GetFrameworks {
    let own = |framework: &FrameworkInfo| framework.id.as_ref().map(|id| id.value.clone());
    let named = |frameworks: Vec<FrameworkInfo>| {
        let frameworks = frameworks.into_iter().filter_map(|info| Some((own(&info)?, info)));
        frameworks.collect::<BTreeMap<String, FrameworkInfo>>()
    };
    let tasks = agent.tasks().map(Task::framework);
    let live = named(tasks.chain(agent.executors().map(|e| e.framework().clone())).collect());
    let tasks = agent.completed().map(Task::framework);
    let past = agent.completed_executors().map(|executor| executor.framework().clone());
    let mut past = named(tasks.chain(past).collect());
    past.retain(|id, _| !live.contains_key(id));
    let shown = |frameworks: BTreeMap<String, FrameworkInfo>| {
        let framework = |framework_info| get_frameworks::Framework { framework_info };
        frameworks.into_values().map(framework).collect()
    };
    GetFrameworks { frameworks: shown(live), completed_frameworks: shown(past) }
}
