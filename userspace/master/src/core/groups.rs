//! Task groups, and what tasks with executors have in common with them.

use std::time::Duration;

use muster_api::mesos::framework_info::capability;
use muster_api::mesos::offer::operation;
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{ExecutorInfo, TaskInfo, TaskState, executor_info};
use muster_api::muster::LaunchGroup;
use muster_api::muster::master_message::Message as ToAgent;
use muster_resources::Resources;

use super::{Executor, ExecutorKey, Master, Offer, launch};

/// A group that may be launched: its executor's description, that executor if it has to be
/// started, and what each task takes.
struct Checked {
    info: ExecutorInfo,
    started: Option<(ExecutorKey, Executor)>,
    tasks: Vec<(TaskInfo, Resources)>,
}

impl Master {
    /// Launches all tasks of a group or none.
    pub(super) fn launch_group(
        &mut self,
        now: Duration,
        framework: &str,
        offer: &Offer,
        pool: &mut Resources,
        group: operation::LaunchGroup,
    ) {
        let tasks = group.task_group.tasks.clone();
        let checked = self.check_group(framework, offer, pool, group);
        let Checked { info, started, tasks } = match checked {
            Ok(checked) => checked,
            Err(problem) => {
                let end = (TaskState::TaskError, Reason::TaskGroupInvalid);
                return self.fail_group(now, framework, &tasks, end, &problem);
            }
        };
        let known = self.frameworks.get(framework);
        let message = LaunchGroup {
            framework_id: Some(framework.into()),
            tasks: tasks.iter().map(|(task, _)| task.clone()).collect(),
            executor: Some(info.clone()),
            tell_killing: known.is_some_and(|f| f.has(capability::Type::TaskKillingState)),
            framework: known.map(|f| f.info.clone()),
            launch_executor: started.is_some(),
        };
        if let Some((key, executor)) = started {
            self.start_executor(offer, pool, key, executor);
        }
        for (mut task, resources) in tasks {
            task.executor = Some(info.clone());
            self.stage_task(now, offer, pool, task, resources);
        }
        self.say_to_agent(&offer.agent, ToAgent::LaunchGroup(message));
    }

    fn check_group(
        &self,
        framework: &str,
        offer: &Offer,
        pool: &Resources,
        group: operation::LaunchGroup,
    ) -> Result<Checked, String> {
        let info = group.executor;
        launch::check_executor(&info)?;
        let default = info.r#type() == executor_info::Type::Default;
        let mut tasks: Vec<(TaskInfo, Resources)> = Vec::new();
        let mut sum = Resources::default();
        for mut task in group.task_group.tasks {
            let id = &task.task_id.value;
            let twice = tasks.iter().any(|(other, _)| other.task_id == task.task_id);
            if twice || self.tasks.contains_key(&(framework.to_owned(), id.clone())) {
                return Err(format!("Task has duplicate id {id:?}"));
            }
            let resources = launch::check_member(&task, &offer.agent, default)
                .map_err(|problem| format!("Task {id:?} of the group is invalid: {problem}"))?;
            sum += &resources;
            offer.mark(&mut task.resources);
            tasks.push((task, resources));
        }
        if tasks.is_empty() {
            return Err("Task group has no tasks".to_owned());
        }
        if !pool.contains(&sum) {
            return Err(format!("Task group uses more resources {sum} than available {pool}"));
        }
        let (info, started) = self.check_executor(framework, offer, info, &sum, pool)?;
        Ok(Checked { info, started, tasks })
    }

    /// Tells a framework of the end of all tasks of a group that was not launched.
    pub(super) fn fail_group(
        &mut self,
        now: Duration,
        framework: &str,
        tasks: &[TaskInfo],
        (state, reason): (TaskState, Reason),
        message: &str,
    ) {
        for task in tasks {
            self.fail_launch(now, framework, task, state, reason, message);
        }
    }

    /// The description of an executor, complete, and the executor if it has to be started for
    /// tasks that take these resources.
    pub(super) fn check_executor(
        &self,
        framework: &str,
        offer: &Offer,
        info: ExecutorInfo,
        resources: &Resources,
        pool: &Resources,
    ) -> Result<(ExecutorInfo, Option<(ExecutorKey, Executor)>), String> {
        if info.framework_id.as_ref().is_some_and(|id| id.value != framework) {
            return Err("executor.framework_id is another framework's".to_owned());
        }
        let executor = Executor::new(info, framework, Some(&offer.role))
            .map_err(|error| format!("Executor uses invalid resources: {error}"))?;
        let info = executor.info.clone();
        let id = info.executor_id.value.clone();
        let key = (framework.to_owned(), offer.agent.clone(), id);
        if let Some(known) = self.executors.get(&key) {
            return if known.info == info {
                Ok((info, None))
            } else {
                Err("Task has an executor that is not the same as the one of its id on the agent"
                    .to_owned())
            };
        }
        let both = resources.clone() + executor.resources.clone();
        if !pool.contains(&both) {
            return Err(format!("Task and its executor use {both}, more than available {pool}"));
        }
        Ok((info, Some((key, executor))))
    }
}
