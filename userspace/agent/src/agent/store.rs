//! The store took a batch, or did not.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::executor::event::Type;
use muster_api::mesos::task_status::Reason;
use muster_api::muster::agent_message;
use prost::Message;

use super::status::News;
use super::{Agent, ExecutorKey, Io, Output, Phase, Task, TaskKey};
use crate::checkpoint::{AGENT, AGENT_KEY, AgentRow, TASKS, UPDATES};

impl Agent {
    pub(super) fn persisted(&mut self, now: Duration, result: Result<(), String>) {
        let Err(error) = result else {
            if self.io.outbox.failure().is_some() {
                tracing::info!("checkpoints can be written again; accepting tasks");
            }
            return self.io.outbox.written();
        };
        self.io.counters.store_errors += 1;
        tracing::error!(%error, "cannot write a checkpoint; running tasks are kept, new ones refused until it works");
        self.io.outbox.failed(error.clone());
        // Kills and the registration do not wait for an operator to make room.
        let urgent = |output: &Output| match output {
            Output::Kill { .. } => true,
            Output::Tell { event, .. } => matches!(event.r#type(), Type::Kill | Type::Shutdown),
            Output::Send(message) => {
                matches!(message.message, Some(agent_message::Message::Register(_)))
            }
            _ => false,
        };
        for output in self.io.outbox.withdraw(urgent) {
            self.io.outbox.now(output);
        }
        self.give_up_launches(now, &error);
        // Should nothing be left to write, this shows when the store works again.
        if let Some(id) = &self.id {
            let row = AgentRow { agent_id: id.clone() };
            self.io.outbox.put(AGENT, AGENT_KEY, row.encode_to_vec());
        }
    }

    /// Fails the tasks whose launch waited for the batch: nothing of them is on disk.
    fn give_up_launches(&mut self, now: Duration, error: &str) {
        let launches = self.io.outbox.withdraw(is_first);
        for launch in launches {
            let Output::Launch(workload) = launch else { continue };
            let id = workload.name();
            if let Some(key) = self.hosts.get(&id).cloned() {
                self.give_up_executor(now, &key, error);
                continue;
            }
            let Some(key) = self.containers.get(&id).cloned() else { continue };
            self.give_up_task(now, &key, error);
        }
    }

    /// The same of an executor, with the tasks that wait for it.
    fn give_up_executor(&mut self, now: Duration, key: &ExecutorKey, error: &str) {
        let tasks: Vec<TaskKey> = self.tasks_of(key).map(Task::key).collect();
        for task in tasks {
            self.give_up_task(now, &task, error);
        }
        self.drop_executor(key);
    }

    /// Forgets what was to be written and said of a task, and fails it.
    fn give_up_task(&mut self, now: Duration, key: &TaskKey, error: &str) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let own = |key: &str| {
            key.strip_prefix(&task.container)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.io.outbox.forget(|table, key| [TASKS, UPDATES].contains(&table) && own(key));
        self.io.outbox.withdraw(|output| sends_for(output, key, &task.container));
        task.give_up(&mut self.io, now, error);
    }
}

impl Task {
    /// Fails a task of which nothing can be written.
    fn give_up(&mut self, io: &mut Io, now: Duration, error: &str) {
        self.phase = Phase::Ended;
        self.durable = false;
        self.stream = super::Stream::new(Vec::new());
        let message = format!("cannot checkpoint the task: {error}");
        let news = News::agent(TaskState::TaskFailed, Reason::ContainerLaunchFailed, message);
        let status = self.tell(io, now, news);
        self.report(io, status);
    }
}

/// Whether `output` launches something of which nothing is on disk. What is nested was written
/// before it could be launched.
fn is_first(output: &Output) -> bool {
    matches!(output, Output::Launch(workload) if !workload.is_nested())
}

/// Whether `output` sends, or sends again, an update of the task `key`, whose container has this
/// name. An update itself need not name the container: it may never have come to be.
fn sends_for(output: &Output, key: &TaskKey, container: &str) -> bool {
    match output {
        Output::Timer { timer: super::Timer::Resend { container: of, .. }, .. } => of == container,
        Output::Send(message) => match &message.message {
            Some(agent_message::Message::Update(update)) => {
                let status = update.framework_id.as_ref().zip(update.status.as_ref());
                status.is_some_and(|(framework, status)| {
                    TaskKey::new(framework, &status.task_id) == *key
                })
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use muster_containerizer::Termination;

    use super::super::testing::{
        Rig, destroyed, kills, launches, registrations, sent, states, task, timers,
    };
    use super::super::{LinkEvent, Timer};
    use super::*;

    #[test]
    fn a_launch_that_cannot_be_written_fails_and_leaves_no_trace() {
        let mut rig = Rig::registered();
        rig.full = true;
        let outputs = rig.launch(task("t"));
        assert!(launches(&outputs).is_empty());
        let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert_eq!(status.message(), "cannot checkpoint the task: full");
        assert_eq!(rig.agent.store_failure(), Some("full"));
        rig.acknowledge("t");
        rig.full = false;
        let outputs = rig.timer(Timer::Persist);
        assert!(sent(&outputs).is_empty() && launches(&outputs).is_empty(), "{outputs:?}");
        assert_eq!((rig.rows(TASKS), rig.rows(UPDATES), rig.rows(AGENT)), (0, 0, 1));
        assert!(!rig.knows("t"));
        assert_eq!(rig.agent.store_failure(), None);
        assert_eq!(launches(&rig.launch(task("t"))).len(), 1);
    }

    #[test]
    fn while_the_store_fails_no_task_is_accepted() {
        let mut rig = Rig::registered();
        rig.run(task("runs"));
        rig.full = true;
        rig.kill("runs", None);
        let outputs = rig.launch(task("t"));
        assert_eq!(states(&outputs), [TaskState::TaskFailed]);
        assert!(launches(&outputs).is_empty());
        assert_eq!(timers(&outputs, |timer| matches!(timer, Timer::Resend { .. })).len(), 1);
        rig.acknowledge("t");
        assert!(!rig.knows("t"));
    }

    #[test]
    fn kills_do_not_wait_for_room() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.full = true;
        assert_eq!(kills(&rig.kill("t", Some(2))).len(), 1);
        assert_eq!(kills(&rig.kill("t", Some(1))).len(), 1);
    }

    #[test]
    fn an_end_is_told_once_it_is_written() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.acknowledge("t");
        rig.acknowledge("t");
        rig.full = true;
        let outputs = rig.end("t", Termination::Exited(0));
        assert!(sent(&outputs).is_empty() && destroyed(&outputs).is_empty(), "{outputs:?}");
        assert!(sent(&rig.timer(Timer::Persist)).is_empty());
        rig.full = false;
        let outputs = rig.timer(Timer::Persist);
        assert_eq!(states(&outputs), [TaskState::TaskFinished]);
        assert_eq!(destroyed(&outputs).len(), 1);
        assert_eq!(rig.agent.counters().store_errors, 2);
    }

    #[test]
    fn the_agent_registers_also_when_it_cannot_write() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.full = true;
        rig.end("t", Termination::Exited(0));
        rig.link(LinkEvent::Disconnected { error: "gone".into() });
        let outputs = rig.link(LinkEvent::Connected);
        assert_eq!(registrations(&outputs).len(), 1);
    }
}
