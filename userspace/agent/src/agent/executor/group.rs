//! Task groups: launched all or not at all, and ended together.

use std::time::Duration;

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskState, executor_info};
use muster_api::muster::LaunchGroup;
use muster_containerizer::{ContainerSpec, nested_id};
use muster_resources::Resources;

use super::super::launch::Refusal;
use super::super::spec::{self, Invalid};
use super::super::status::News;
use super::super::{Agent, Output, Phase, Settings, Task, TaskKey, Workload, task};
use super::kill::ending;
use super::{ExecutorKey, Terms};
use crate::checkpoint::EndingRow;

impl Agent {
    /// The master asks for a task group. One of which a task is known already is left as it is:
    /// the master may repeat itself.
    pub(in super::super) fn launch_group(&mut self, now: Duration, group: LaunchGroup) {
        let (Some(framework_id), Some(executor)) = (group.framework_id, group.executor) else {
            tracing::warn!("the master asked for a group without framework or executor; ignored");
            return;
        };
        let known = |id| self.tasks.contains_key(&TaskKey::new(&framework_id, id));
        if group.tasks.iter().any(|info| known(&info.task_id)) {
            tracing::debug!("launch of a known task group ignored");
            return;
        }
        let inside = executor.r#type() == executor_info::Type::Default;
        let id = self.io.draw_id();
        let mut tasks = Vec::new();
        for mut info in group.tasks {
            info.executor = Some(executor.clone());
            // Impossible ones are found when the group is checked.
            let resources = task::sum(&info.resources).unwrap_or_default();
            let container = self.io.draw_id();
            let mut task = Task::new(framework_id.clone(), info, container, resources);
            task.group = Some(id.clone());
            task.inside = inside;
            task.tell_killing = group.tell_killing;
            task.framework.clone_from(&group.framework);
            tasks.push(task);
        }
        let terms = Terms { start: group.launch_executor, framework: group.framework };
        self.launch_on(now, &executor, tasks, terms);
    }

    /// Checks a task that the agent is to run in the container of an executor.
    pub(super) fn check_inside(&self, task: &mut Task) -> Result<(), Refusal> {
        let invalid = |invalid: Invalid| Refusal::invalid(invalid.to_string());
        task::sum(&task.info.resources)
            .map_err(|error| Refusal::invalid(format!("resources: {error}")))?;
        task.set_checks().map_err(invalid)?;
        nested(&self.io.settings, task).map(drop).map_err(invalid)
    }

    /// Launches a task inside the container of its executor.
    pub(super) fn launch_inside(&mut self, now: Duration, key: &TaskKey) {
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.phase != Phase::Ended) else {
            return;
        };
        match nested(&self.io.settings, task) {
            Ok(spec) => {
                tracing::info!(task = key.task, container = task.container, "launching");
                let status = task.tell(&mut self.io, now, News::executor(TaskState::TaskStarting));
                task.report(&mut self.io, status);
                self.io.outbox.then(Output::Launch(Box::new(Workload::Mesos(spec))));
            }
            Err(invalid) => {
                // It was checked when it came.
                let (state, reason) = (TaskState::TaskError, Reason::TaskGroupInvalid);
                task.finish(&mut self.io, now, News::agent(state, reason, invalid.to_string()));
                self.settle(now, key);
            }
        }
    }

    /// Draws the consequences of a task's end for its group and its executor.
    pub(in super::super) fn settle(&mut self, now: Duration, key: &TaskKey) {
        let Some(task) = self.tasks.get(key).filter(|task| task.phase == Phase::Ended) else {
            return;
        };
        let (group, inside) = (task.group.clone(), task.inside);
        let host = task.host.as_ref().and_then(|host| self.hosts.get(host)).cloned();
        let Some(host) = host else { return };
        if group.is_some() && task.status.state() != TaskState::TaskFinished {
            let others = self.tasks_of(&host).filter(|other| other.group == group);
            let others = others.filter(|other| other.phase != Phase::Ended && other.kill.is_none());
            for other in others.map(Task::key).collect::<Vec<_>>() {
                self.end_member(now, &other);
            }
        }
        if !inside {
            return;
        }
        if self.tasks_of(&host).all(|task| task.phase == Phase::Ended) {
            self.end_executor(now, &host, complete());
        } else {
            self.serve(now, &host);
        }
    }

    /// The same for all tasks there are: the agent has just started.
    pub(in super::super) fn settle_all(&mut self, now: Duration) {
        let grouped = self.tasks.values().filter(|task| task.group.is_some());
        for key in grouped.map(Task::key).collect::<Vec<_>>() {
            self.settle(now, &key);
        }
    }

    /// Ends a task of a group of which another has ended badly.
    fn end_member(&mut self, now: Duration, key: &TaskKey) {
        let queued = self.executors.values().any(|executor| executor.queue.contains(key));
        if queued {
            return self.kill_undelivered(now, key);
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.inside {
            tracing::info!(task = key.task, "killing: a task of its group has ended");
            let grace = task.grace(&self.io.settings);
            task.end(&mut self.io, now, grace, super::super::kill::Why::Asked);
        }
    }

    /// Ends all tasks that the agent runs for an executor.
    pub(super) fn end_inside(&mut self, now: Duration, host: &ExecutorKey) {
        let live = self.tasks_of(host).filter(|task| task.phase != Phase::Ended);
        for key in live.map(Task::key).collect::<Vec<_>>() {
            self.end_member(now, &key);
        }
    }
}

/// Of an executor that has nothing left to do.
fn complete() -> EndingRow {
    let message = "all tasks of the executor have ended";
    ending(TaskState::TaskFailed, Reason::ExecutorTerminated, message)
}

/// The container of a task in that of its executor.
fn nested(settings: &Settings, task: &Task) -> Result<ContainerSpec, Invalid> {
    let mut spec = spec::spec(settings, task)?;
    spec::nest(&mut spec, &task.container, &task.info)?;
    Ok(spec)
}

/// Gives a task its place with its executor.
pub(super) fn place(task: &mut Task, container: &str) {
    task.host = Some(container.to_owned());
    if task.inside {
        task.container = nested_id(container, &task.container);
    }
}

/// What all these hold together.
pub(super) fn held(tasks: &[Task]) -> Resources {
    tasks.iter().fold(Resources::default(), |sum, task| sum + task.resources.clone())
}
