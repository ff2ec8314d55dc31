//! An executor, or one of its tasks, is to end.

use std::time::Duration;

use muster_api::mesos::executor::Event;
use muster_api::mesos::executor::event::{Kill, Message, Type};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{DurationInfo, KillPolicy, TaskId, TaskState};
use muster_api::muster::{ExecutorMessage, Kill as Asked, ShutdownExecutor};

use super::super::kill::grace;
use super::super::status::News;
use super::super::{Agent, Io, Output, Phase, TaskKey, Timer};
use super::{Executor, ExecutorKey};
use crate::checkpoint::{EndingRow, KillRow};

impl Agent {
    /// The master asks for the end of a task of an executor: only that can end it.
    pub(in super::super) fn kill_on(&mut self, now: Duration, key: &TaskKey, asked: &Asked) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let given = grace(asked.kill_policy.as_ref());
        let nanoseconds = given.map_or(0, |g| u64::try_from(g.as_nanos()).unwrap_or(u64::MAX));
        let kill = KillRow {
            grace: nanoseconds,
            unhealthy: None,
            during_launch: false,
            given: given.is_some(),
            overdue: false,
        };
        task.kill = Some(kill.clone());
        task.save(&mut self.io);
        let host = task.host.as_ref().and_then(|host| self.hosts.get(host)).cloned();
        let executor = host.as_ref().and_then(|host| self.executors.get(host));
        let Some((host, executor)) = host.as_ref().zip(executor) else { return };
        if executor.queue.contains(key) && (!executor.known || executor.subscription.is_some()) {
            self.kill_undelivered(now, key);
            let idle = self.tasks_of(host).all(|task| task.phase == Phase::Ended);
            if idle && !self.executors.get(host).is_some_and(|executor| executor.known) {
                // It would be started for nothing.
                self.end_executor(now, &host.clone(), needless());
            }
            return;
        }
        tracing::info!(task = key.task, executor = host.executor, "its executor is to kill it");
        tell_kill(&mut self.io, executor, &key.task, &kill);
    }

    /// Ends a task that its executor has not been told of.
    pub(in super::super) fn kill_undelivered(&mut self, now: Duration, key: &TaskKey) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Some(host) = task.host.as_ref().and_then(|host| self.hosts.get(host))
            && let Some(executor) = self.executors.get_mut(host)
        {
            executor.queue.remove(key);
        }
        let message = "killed before delivery to the executor";
        let news = News::agent(TaskState::TaskKilled, Reason::TaskKilledDuringLaunch, message);
        task.finish(&mut self.io, now, news);
        self.settle(now, key);
    }

    /// The framework asks for an executor's end.
    pub(in super::super) fn shutdown(&mut self, now: Duration, asked: &ShutdownExecutor) {
        let (Some(framework), Some(executor)) = (&asked.framework_id, &asked.executor_id) else {
            tracing::warn!("the master asked for a shutdown without ids; ignored");
            return;
        };
        let key = ExecutorKey::new(&framework.value, &executor.value);
        if self.executors.contains_key(&key) {
            let ending = ending(
                TaskState::TaskFailed,
                Reason::ExecutorTerminated,
                "the executor was shut down",
            );
            self.end_executor(now, &key, ending);
        } else {
            tracing::warn!(executor = key.executor, "shutdown of an unknown executor");
            super::exited(&mut self.io, &key, None);
        }
    }

    /// Has an executor end, and its container killed when it does not. The first cause stands.
    pub(super) fn end_executor(&mut self, now: Duration, key: &ExecutorKey, ending: EndingRow) {
        let Some(executor) = self.executors.get_mut(key) else { return };
        tracing::info!(executor = key.executor, reason = ending.message, "ending an executor");
        executor.ending.get_or_insert(ending);
        executor.save(&mut self.io);
        self.shut_down(now, key);
    }

    /// Carries out the end that was decided.
    pub(super) fn shut_down(&mut self, now: Duration, key: &ExecutorKey) {
        let live = self.tasks_of(key).any(|task| task.inside && task.phase != Phase::Ended);
        if live {
            // The last of them ends the executor.
            return self.end_inside(now, key);
        }
        let Some(executor) = self.executors.get(key) else { return };
        if executor.subscription.is_none() {
            return self.kill_host(key);
        }
        executor.tell(&mut self.io, Type::Shutdown, Event::default());
        let timer = Timer::Shutdown { container: executor.container.clone() };
        let after = executor.grace(&self.io);
        self.io.outbox.now(Output::Timer { after, timer });
    }

    /// Kills an executor's container; what its processes are worth is over.
    pub(in super::super) fn kill_host(&mut self, key: &ExecutorKey) {
        let Some(executor) = self.executors.get(key) else { return };
        let container = executor.container.clone();
        self.io.outbox.then_or_now(Output::Kill { container, grace: Duration::ZERO });
    }

    /// Time is over for an executor that was told to end, or whose kill failed.
    pub(in super::super) fn executor_overdue(&mut self, container: &str) {
        let Some(key) = self.hosts.get(container).cloned() else { return };
        if self.executors.get(&key).is_some_and(|executor| executor.ending.is_some()) {
            self.kill_host(&key);
        }
    }

    /// Time is over for an executor to subscribe.
    pub(in super::super) fn unsubscribed(&mut self, now: Duration, container: &str) {
        let Some(key) = self.hosts.get(container).cloned() else { return };
        let Some(reason) = self.executors.get(&key).and_then(|executor| executor.awaited) else {
            return;
        };
        let message = match reason {
            Reason::ExecutorRegistrationTimeout => "Executor did not register within the timeout",
            _ => "Executor did not reregister within the timeout after the agent's restart",
        };
        self.end_executor(now, &key, ending(TaskState::TaskFailed, reason, message));
    }

    /// The framework says something to one of its executors.
    pub(in super::super) fn message_to_executor(&mut self, message: ExecutorMessage) {
        let (Some(framework), Some(executor)) = (&message.framework_id, &message.executor_id)
        else {
            return tracing::warn!("the master sent a message without ids; ignored");
        };
        let key = ExecutorKey::new(&framework.value, &executor.value);
        if let Some(executor) = self.executors.get(&key) {
            let message = Some(Message { data: message.data });
            executor.tell(&mut self.io, Type::Message, Event { message, ..Event::default() });
        } else {
            tracing::warn!(executor = key.executor, "message to an unknown executor lost");
        }
    }
}

/// What is told of the tasks of an executor that was made to end.
pub(super) fn ending(state: TaskState, reason: Reason, message: &str) -> EndingRow {
    EndingRow { state: state.into(), reason: reason.into(), message: message.to_owned() }
}

/// Of an executor without tasks.
pub(super) fn needless() -> EndingRow {
    let message = "all tasks were killed before they were delivered to the executor";
    ending(TaskState::TaskKilled, Reason::TaskKilledDuringLaunch, message)
}

/// Tells an executor to kill a task.
pub(super) fn tell_kill(io: &mut Io, executor: &Executor, task: &str, kill: &KillRow) {
    let nanoseconds = i64::try_from(kill.grace).unwrap_or(i64::MAX);
    let policy = KillPolicy { grace_period: Some(DurationInfo { nanoseconds }) };
    let kill =
        Some(Kill { task_id: TaskId::from(task), kill_policy: kill.given.then_some(policy) });
    executor.tell(io, Type::Kill, Event { kill, ..Event::default() });
}
