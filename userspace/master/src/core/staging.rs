//! What is noted of a launch before the agent is told of it, or when it is refused.

use std::time::Duration;

use muster_api::mesos::resource::AllocationInfo;
use muster_api::mesos::task_status::{Reason, Source};
use muster_api::mesos::{Resource, TaskInfo, TaskState, TaskStatus};
use muster_resources::Resources;

use super::allocation::agree;
use super::{Executor, ExecutorKey, Master, Offer, Task};
use crate::registry::RegistryBatch as _;

impl Master {
    /// Notes a task that is about to be launched with what it takes out of the pool.
    pub(super) fn stage_task(
        &mut self,
        now: Duration,
        offer: &Offer,
        pool: &mut Resources,
        task: TaskInfo,
        resources: Resources,
    ) {
        let framework = offer.framework.as_str();
        *pool -= &resources;
        agree(self.allocator.launch(framework, &offer.role, &offer.agent, &resources));
        let key = (framework.to_owned(), task.task_id.value.clone());
        let mut status = TaskStatus {
            task_id: task.task_id.clone(),
            agent_id: Some(task.agent_id.clone()),
            timestamp: Some(now.as_secs_f64()),
            ..TaskStatus::default()
        };
        status.set_state(TaskState::TaskStaging);
        status.set_source(Source::Master);
        let task = Task { info: task, status, resources, role: offer.role.clone(), kill: None };
        self.step.batch.put_task(&task.row(framework));
        self.insert_task(key, task);
        self.counters.launched += 1;
    }

    /// Notes an executor that is about to be started with what it takes out of the pool.
    pub(super) fn start_executor(
        &mut self,
        offer: &Offer,
        pool: &mut Resources,
        key: ExecutorKey,
        executor: Executor,
    ) {
        let held = executor.resources.clone();
        *pool -= &held;
        agree(self.allocator.launch(&key.0, &offer.role, &offer.agent, &held));
        self.insert_executor(key, executor);
    }

    pub(super) fn fail_launch(
        &mut self,
        now: Duration,
        framework: &str,
        task: &TaskInfo,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        self.counters.errors += 1;
        let Some(known) = self.frameworks.get(framework) else { return };
        let mut status = TaskStatus {
            task_id: task.task_id.clone(),
            agent_id: Some(task.agent_id.clone()),
            message: Some(message.to_owned()),
            timestamp: Some(now.as_secs_f64()),
            ..TaskStatus::default()
        };
        status.set_state(known.translate(state));
        status.set_source(Source::Master);
        status.set_reason(reason);
        self.tell(framework, status);
    }
}

impl Offer {
    /// Notes the offer's role where resources name none.
    pub(super) fn mark(&self, resources: &mut [Resource]) {
        for resource in resources {
            resource
                .allocation_info
                .get_or_insert_with(|| AllocationInfo { role: Some(self.role.clone()) });
        }
    }
}
