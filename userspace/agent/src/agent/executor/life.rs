//! The container of an executor is launched, and ends.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use muster_containerizer::Termination;

use super::super::status::{News, describe};
use super::super::{Agent, ContainerEvent, Output, Phase, Task, TaskKey, Timer};
use super::kill::ending;
use super::{Executor, ExecutorKey, exited, exited_now};
use crate::checkpoint::EXECUTORS;

/// Pause before a kill that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Executors that have ended and are kept for `/state`.
const COMPLETED: usize = 150;

impl Agent {
    pub(in super::super) fn host_event(
        &mut self,
        now: Duration,
        key: &ExecutorKey,
        event: ContainerEvent,
    ) {
        match event {
            ContainerEvent::Launched { pid, .. } => self.executor_launched(now, key, pid),
            ContainerEvent::LaunchFailed { message } => {
                tracing::error!(executor = key.executor, message, "cannot launch the executor");
                let reason = Reason::ContainerLaunchFailed;
                let news = News::agent(TaskState::TaskFailed, reason, message);
                self.executor_over(now, key, &news, None);
            }
            ContainerEvent::Ended(how) => self.executor_ended(now, key, &how),
            ContainerEvent::KillFailed { message } => {
                tracing::error!(executor = key.executor, message, "cannot kill; trying again");
                if let Some(executor) = self.executors.get(key) {
                    let timer = Timer::Shutdown { container: executor.container.clone() };
                    self.io.outbox.now(Output::Timer { after: RETRY, timer });
                }
            }
            ContainerEvent::Updated => {
                if let Some(executor) = self.executors.get(key) {
                    self.updated(now, &executor.container.clone());
                }
            }
            ContainerEvent::UpdateFailed { message } => {
                let message = format!("cannot give the executor's container resources: {message}");
                tracing::error!(executor = key.executor, message);
                let reason = Reason::ContainerUpdateFailed;
                if let Some(executor) = self.executors.get_mut(key) {
                    executor.giving = None;
                    executor.ending.get_or_insert(ending(TaskState::TaskGone, reason, &message));
                    executor.save(&mut self.io);
                    self.kill_host(key);
                }
            }
            // Its tasks are not its own: they are still staging.
            ContainerEvent::Preparing { .. }
            | ContainerEvent::Destroyed
            | ContainerEvent::DestroyFailed { .. } => {}
        }
    }

    fn executor_launched(&mut self, now: Duration, key: &ExecutorKey, pid: u32) {
        let Some(executor) = self.executors.get_mut(key) else { return };
        if executor.phase == Phase::Running {
            return;
        }
        executor.phase = Phase::Running;
        executor.pid = Some(pid);
        let container = executor.container.clone();
        self.io.outbox.now(Output::Watch { container: container.clone() });
        if executor.ending.is_some() {
            return self.shut_down(now, key);
        }
        if executor.is_default() {
            return self.serve(now, key);
        }
        if !executor.known {
            executor.awaited = Some(Reason::ExecutorRegistrationTimeout);
            let after = self.io.settings.patience.registration;
            let timer = Timer::Subscription { container };
            self.io.outbox.now(Output::Timer { after, timer });
        }
    }

    /// An executor has ended: so have all its tasks.
    pub(super) fn executor_ended(&mut self, now: Duration, key: &ExecutorKey, how: &Termination) {
        tracing::info!(executor = key.executor, ?how, "the executor ended");
        let ending = self.executors.get(key).and_then(|executor| executor.ending.as_ref());
        let news = match (how, ending) {
            (Termination::Limited(_), _) => News::ended(how, None),
            (_, Some(ending)) => {
                let state = TaskState::try_from(ending.state).unwrap_or(TaskState::TaskFailed);
                let reason = Reason::try_from(ending.reason).unwrap_or(Reason::ExecutorTerminated);
                News::agent(state, reason, ending.message.clone())
            }
            (Termination::Lost(_), None) => {
                let message = format!("Executor lost: {}", describe(how));
                News::agent(TaskState::TaskLost, Reason::ExecutorTerminated, message)
            }
            (_, None) => {
                let message = format!("Executor terminated: {}", describe(how));
                News::agent(TaskState::TaskFailed, Reason::ExecutorTerminated, message)
            }
        };
        self.executor_over(now, key, &news, Some(how));
    }

    /// There is no such executor any more.
    pub(super) fn executor_over(
        &mut self,
        now: Duration,
        key: &ExecutorKey,
        news: &News,
        how: Option<&Termination>,
    ) {
        let Some(executor) = self.executors.get(key) else { return };
        let tasks: Vec<TaskKey> = self.tasks_of(key).map(Task::key).collect();
        let known = executor.known;
        for task in tasks {
            let Some(task) = self.tasks.get_mut(&task).filter(|t| t.phase != Phase::Ended) else {
                continue;
            };
            // Nobody but the executor could have killed it, but that was wanted.
            let killed = task.kill.is_some() && (!known || news.state == TaskState::TaskKilled);
            let news = if killed {
                News { state: TaskState::TaskKilled, ..news.clone() }
            } else {
                news.clone()
            };
            task.finish(&mut self.io, now, news);
            if task.inside {
                let container = task.container.clone();
                self.destroying.insert(container.clone(), 0);
                self.io.outbox.then(Output::Destroy { container });
            }
        }
        let Some(executor) = self.executors.remove(key) else { return };
        self.hosts.remove(&executor.container);
        self.io.outbox.delete(EXECUTORS, &executor.container);
        if let Some(subscription) = executor.subscription {
            self.io.outbox.then(Output::HangUp { subscription });
        }
        // The agent's own has done all it was for, whatever became of its container.
        let done = executor.is_default() && executor.ending.is_some();
        exited(&mut self.io, key, if done { Some(&Termination::Exited(0)) } else { how });
        let sandbox = executor.sandbox(&self.io.settings);
        self.io.outbox.now(Output::Retire { sandbox });
        self.destroy(executor.container.clone());
        if self.completed_executors.len() == COMPLETED {
            self.completed_executors.pop_front();
        }
        let phase = Phase::Ended;
        self.completed_executors.push_back(Executor { phase, subscription: None, ..executor });
    }

    /// Forgets an executor of which nothing is on disk and nothing was launched.
    pub(in super::super) fn drop_executor(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executors.remove(key) else { return };
        self.hosts.remove(&executor.container);
        self.io.outbox.forget(|table, key| table == EXECUTORS && key == executor.container);
        exited_now(&mut self.io, key);
    }

    /// The tasks of an executor that are not forgotten.
    pub(in super::super) fn tasks_of(
        &self,
        key: &ExecutorKey,
    ) -> impl Iterator<Item = &Task> + use<'_> {
        let container = self.executors.get(key).map(|executor| executor.container.as_str());
        let from = TaskKey { framework: key.framework.clone(), task: String::new() };
        let framework = key.framework.clone();
        let own = self.tasks.range(from..).take_while(move |(key, _)| key.framework == framework);
        own.map(|(_, task)| task)
            .filter(move |t| container.is_some() && t.host.as_deref() == container)
    }
}
