//! Tasks as the v1 API shows them.

use muster_api::mesos::master::response::GetTasks;
use muster_api::mesos::{Task, TaskInfo, TaskStatus};

use crate::core::Master;

pub(super) fn tasks(master: &Master) -> GetTasks {
    let mut answer = GetTasks::default();
    for ((framework, _), task) in master.tasks() {
        answer.tasks.push(describe(framework, &task.info, &task.status));
    }
    for (id, framework) in master.frameworks() {
        let ended = &framework.completed_tasks;
        answer.completed_tasks.extend(ended.iter().map(|t| describe(id, &t.info, &t.status)));
    }
    answer
}

fn describe(framework: &str, info: &TaskInfo, status: &TaskStatus) -> Task {
    let info = info.clone();
    let user = info.command.and_then(|command| command.user);
    Task {
        name: info.name,
        task_id: info.task_id,
        framework_id: framework.into(),
        executor_id: info.executor.map(|executor| executor.executor_id),
        agent_id: info.agent_id,
        state: status.state,
        resources: info.resources,
        statuses: vec![status.clone()],
        status_update_state: Some(status.state),
        status_update_uuid: status.uuid.clone(),
        labels: info.labels,
        discovery: info.discovery,
        container: info.container,
        user,
        health_check: info.health_check,
        kill_policy: info.kill_policy,
        limits: info.limits,
    }
}
