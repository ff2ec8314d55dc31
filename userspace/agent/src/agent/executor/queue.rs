//! Tasks on their way to an executor, and what its container may use for them.

use muster_api::mesos::executor::Event;
use muster_api::mesos::executor::event::{Launch, Type};

use super::super::{Agent, Output, Phase, spec};
use super::ExecutorKey;

impl Agent {
    /// Has the container of an executor given what it and its tasks need now, and then the
    /// executor told of its tasks.
    pub(in super::super) fn serve(&mut self, key: &ExecutorKey) {
        let needed = self.needed(key);
        let Some(executor) = self.executors.get_mut(key) else { return };
        if executor.subscription.is_none() || executor.ending.is_some() || executor.giving.is_some()
        {
            return;
        }
        if executor.given != needed {
            executor.giving = Some(needed);
            let container = executor.container.clone();
            self.io.outbox.then(Output::Update { container, resources: needed });
            return;
        }
        for task in std::mem::take(&mut executor.queue) {
            let Some(task) = self.tasks.get(&task).filter(|task| task.phase != Phase::Ended) else {
                continue;
            };
            tracing::info!(task = task.info.task_id.value, executor = key.executor, "delivered");
            let launch = Some(Launch { task: task.info.clone() });
            executor.tell(&mut self.io, Type::Launch, Event { launch, ..Event::default() });
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
    pub(in super::super) fn updated(&mut self, container: &str) {
        let Some(key) = self.hosts.get(container).cloned() else { return };
        if let Some(executor) = self.executors.get_mut(&key)
            && let Some(given) = executor.giving.take()
        {
            executor.given = given;
        }
        self.serve(&key);
    }
}
