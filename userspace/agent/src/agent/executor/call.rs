//! What executors say.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_api::TaskStateExt;
use muster_api::mesos::executor::Event;
use muster_api::mesos::executor::event::{Acknowledged, Subscribed, Type};
use muster_api::mesos::task_status::Source;
use muster_api::mesos::{ContainerId, TaskState, TaskStatus};
use muster_api::muster::{ExecutorMessage, agent_message};

use super::super::link::say;
use super::super::{Agent, ExecutorEvent, Output, Phase, TaskKey};
use super::ExecutorKey;

impl Agent {
    pub(in super::super) fn executor_event(
        &mut self,
        now: Duration,
        key: &ExecutorKey,
        event: ExecutorEvent,
    ) {
        match event {
            ExecutorEvent::Subscribe { subscription, tasks, updates } => {
                self.subscribe(now, key, subscription, &tasks, updates);
            }
            ExecutorEvent::Update(status) => {
                self.executor_update(now, key, *status);
                // Its container may have too much now.
                self.serve(now, key);
            }
            ExecutorEvent::Message(data) => {
                let message = ExecutorMessage {
                    framework_id: Some(key.framework.as_str().into()),
                    executor_id: Some(key.executor.as_str().into()),
                    data,
                };
                if self.io.registered {
                    self.io.outbox.now(say(agent_message::Message::ExecutorMessage(message)));
                }
            }
            ExecutorEvent::Gone { subscription } => {
                if let Some(executor) = self.executors.get_mut(key)
                    && executor.subscription == Some(subscription)
                {
                    tracing::info!(executor = key.executor, "its stream has ended");
                    executor.subscription = None;
                }
            }
        }
    }

    /// Takes an executor in, for the first time or again: `tasks` are those it knows and has
    /// no acknowledged update of, `updates` those without acknowledgement.
    fn subscribe(
        &mut self,
        now: Duration,
        key: &ExecutorKey,
        subscription: u64,
        tasks: &BTreeSet<String>,
        updates: Vec<TaskStatus>,
    ) {
        let agent_info = self.io.settings.info(self.id.as_deref());
        let Some(executor) = self.executors.get_mut(key) else {
            return self.io.outbox.now(Output::HangUp { subscription });
        };
        if let Some(subscription) = executor.subscription.replace(subscription) {
            self.io.outbox.now(Output::HangUp { subscription });
        }
        let first = !std::mem::replace(&mut executor.known, true);
        executor.awaited = None;
        executor.save(&mut self.io);
        tracing::info!(executor = key.executor, again = !first, "subscribed");
        let subscribed = Some(Subscribed {
            executor_info: executor.info.clone(),
            framework_info: executor.framework.clone(),
            agent_info,
            container_id: Some(ContainerId { value: executor.container.clone(), parent: None }),
        });
        executor.tell(&mut self.io, Type::Subscribed, Event { subscribed, ..Event::default() });
        for status in updates {
            self.executor_update(now, key, status);
        }
        let held: Vec<TaskKey> = self.tasks_of(key).map(super::super::Task::key).collect();
        for task in &held {
            self.meet(now, key, task, tasks);
        }
        let Some(executor) = self.executors.get(key) else { return };
        if executor.ending.is_some() {
            return self.shut_down(now, key);
        }
        let idle = self.tasks_of(key).all(|task| task.phase == Phase::Ended);
        if first && idle {
            // All its tasks were killed before it was there.
            return self.end_executor(now, key, super::kill::needless());
        }
        self.serve(now, key);
    }

    /// Finds out whether a subscribing executor knows a task, and tells it what it missed.
    fn meet(&mut self, now: Duration, key: &ExecutorKey, task: &TaskKey, known: &BTreeSet<String>) {
        let Some(held) = self.tasks.get_mut(task).filter(|task| task.phase != Phase::Ended) else {
            return;
        };
        let Some(executor) = self.executors.get_mut(key) else { return };
        held.pid = executor.pid;
        let arrived = held.status.state() != TaskState::TaskStaging || known.contains(&task.task);
        match (arrived, &held.kill) {
            (true, None) => {
                executor.queue.remove(task);
            }
            (true, Some(kill)) => {
                executor.queue.remove(task);
                super::kill::tell_kill(&mut self.io, executor, &task.task, kill);
            }
            (false, None) => {
                executor.queue.insert(task.clone());
            }
            (false, Some(_)) => self.kill_undelivered(now, task),
        }
    }

    /// Takes an update of a task of the executor, and acknowledges it once it is on disk.
    fn executor_update(&mut self, now: Duration, key: &ExecutorKey, mut status: TaskStatus) {
        let Some(executor) = self.executors.get_mut(key) else { return };
        let task_key =
            TaskKey { framework: key.framework.clone(), task: status.task_id.value.clone() };
        let uuid = status.uuid.clone().unwrap_or_default();
        let acknowledged =
            Some(Acknowledged { task_id: status.task_id.clone(), uuid: uuid.clone() });
        let acknowledged = Event { acknowledged, ..Event::default() };
        let own = Some(executor.container.as_str());
        let task = self.tasks.get_mut(&task_key).filter(|task| task.host.as_deref() == own);
        match task {
            None => {
                tracing::warn!(task = task_key.task, "update of a task that is not the executor's");
            }
            Some(task) if task.seen.contains(&uuid) || task.phase == Phase::Ended => {}
            Some(task) => {
                executor.queue.remove(&task_key);
                task.pid = executor.pid;
                let ends = status.state().is_terminal();
                task.phase = if ends { Phase::Ended } else { Phase::Running };
                task.saw(uuid);
                status.agent_id = Some(executor.agent_id.clone());
                status.executor_id = Some(executor.info.executor_id.clone());
                status.source = Some(Source::Executor.into());
                status.timestamp.get_or_insert(now.as_secs_f64());
                let place = task.container_status(&self.io).unwrap_or_default();
                let said = status.container_status.get_or_insert_with(Default::default);
                if said.network_infos.is_empty() {
                    said.network_infos = place.network_infos;
                }
                said.container_id = place.container_id.or(said.container_id.take());
                said.executor_pid = place.executor_pid;
                task.report(&mut self.io, status);
            }
        }
        executor.tell(&mut self.io, Type::Acknowledged, acknowledged);
    }
}
