//! Tasks on their way to an executor, and what its container may use for them.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::executor::Event;
use muster_api::mesos::executor::event::{Launch, LaunchGroup, Type};
use muster_api::mesos::{TaskGroupInfo, TaskInfo};

use super::super::{Agent, Output, Phase, spec};
use super::ExecutorKey;

impl Agent {
    /// Has the container of an executor given what it and its tasks need now, and then the
    /// executor told of its tasks.
    pub(in super::super) fn serve(&mut self, now: Duration, key: &ExecutorKey) {
        let needed = self.needed(key);
        let Some(executor) = self.executors.get_mut(key) else { return };
        let inside = executor.is_default();
        let there = if inside { executor.phase == Phase::Running } else { executor.subscribed() };
        if !there || executor.ending.is_some() || executor.giving.is_some() {
            return;
        }
        if executor.given != needed {
            executor.giving = Some(needed);
            let container = executor.container.clone();
            self.io.outbox.then(Output::Update { container, resources: needed });
            return;
        }
        let queue = std::mem::take(&mut executor.queue);
        if inside {
            for task in queue {
                self.launch_inside(now, &task);
            }
            return;
        }
        let mut groups: BTreeMap<&str, Vec<TaskInfo>> = BTreeMap::new();
        for task in &queue {
            let Some(task) = self.tasks.get(task).filter(|task| task.phase != Phase::Ended) else {
                continue;
            };
            tracing::info!(task = task.info.task_id.value, executor = key.executor, "delivered");
            if let Some(group) = &task.group {
                groups.entry(group).or_default().push(task.info.clone());
                continue;
            }
            let launch = Some(Launch { task: task.info.clone() });
            executor.tell(&mut self.io, Type::Launch, Event { launch, ..Event::default() });
        }
        for tasks in groups.into_values() {
            let launch_group = Some(LaunchGroup { task_group: TaskGroupInfo { tasks } });
            let event = Event { launch_group, ..Event::default() };
            executor.tell(&mut self.io, Type::LaunchGroup, event);
        }
    }

    /// What an executor and its tasks have been promised together.
    pub(super) fn needed(&self, key: &ExecutorKey) -> muster_containerizer::Resources {
        let own = self.executors.get(key).map(|executor| executor.info.resources.as_slice());
        let tasks = self.tasks_of(key).filter(|task| task.phase != Phase::Ended);
        let tasks = tasks.flat_map(|task| &task.info.resources);
        spec::promised(own.unwrap_or_default().iter().chain(tasks))
    }

    /// The container of an executor has what it was to be given.
    pub(super) fn updated(&mut self, now: Duration, container: &str) {
        let Some(key) = self.hosts.get(container).cloned() else { return };
        if let Some(executor) = self.executors.get_mut(&key)
            && let Some(given) = executor.giving.take()
        {
            executor.given = given;
        }
        self.serve(now, &key);
    }
}
