//! The agent starts: what was checkpointed meets what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::status::News;
use super::{Agent, Found, Output, Phase, Task};
use crate::checkpoint::Checkpoint;
use muster_api::TaskStateExt;
use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;

impl Agent {
    /// Adopts what runs, reports what ended, destroys what nobody knows; then dials.
    pub(super) fn recover(&mut self, now: Duration, checkpoint: Checkpoint, found: Vec<Found>) {
        let Checkpoint { agent, tasks, mut updates, executors } = checkpoint;
        self.id = agent.map(|row| row.agent_id);
        let mut found: BTreeMap<String, Found> =
            found.into_iter().map(|container| (container.id.clone(), container)).collect();
        for row in tasks {
            let waiting = updates.remove(&row.container_id).unwrap_or_default();
            // The row was accepted once; what it then held is what it holds.
            let resources = super::task::sum(&row.info.resources).unwrap_or_default();
            let task = Task::from_row(row, resources, waiting);
            let waits = task.inside && task.status.state() == TaskState::TaskStaging;
            if task.hosted() || waits {
                self.recover_hosted(task);
                continue;
            }
            let container = found.remove(&task.container);
            self.recover_task(now, task, container);
        }
        self.recover_executors(now, executors, &mut found);
        self.settle_all(now);
        for container in found.into_keys() {
            tracing::warn!(container, "destroying a container that belongs to nothing");
            self.orphans.insert(container.clone());
            self.destroy(container);
        }
        self.recovered = true;
        self.dial_when_clean();
    }

    fn recover_task(&mut self, now: Duration, mut task: Task, found: Option<Found>) {
        let id = task.container.clone();
        if task.status.state().is_terminal() {
            task.phase = Phase::Ended;
            if found.is_some() {
                self.destroy(id);
            }
        } else {
            match found {
                Some(Found { pid, addresses, ended: None, .. }) => {
                    task.pid = pid.or(task.pid);
                    task.addresses = addresses.or(task.addresses.take());
                    tracing::info!(task = task.info.task_id.value, container = id, "adopted");
                    // It was valid when the task was accepted.
                    if let Err(invalid) = task.set_checks() {
                        tracing::warn!(task = task.info.task_id.value, %invalid, "not checked");
                    }
                    self.io.outbox.now(Output::Watch { container: id });
                    task.run(&mut self.io, now);
                }
                Some(Found { ended: Some(how), .. }) => {
                    let news = News::ended(&how, task.kill.as_ref());
                    task.finish(&mut self.io, now, news);
                    self.destroy(id);
                }
                None => {
                    let news = task.vanished();
                    task.finish(&mut self.io, now, news);
                }
            }
        }
        self.insert(task);
    }

    /// One of the containers to destroy before dialling is gone, or resists: it will be
    /// tried again, but the agent's tasks must not wait for it.
    pub(super) fn orphan_gone(&mut self, id: &str) {
        if self.orphans.remove(id) {
            self.dial_when_clean();
        }
    }

    fn dial_when_clean(&mut self) {
        if self.orphans.is_empty() {
            self.dial(Duration::ZERO);
        }
    }
}

impl Task {
    /// What to say of a checkpointed task that has no container.
    fn vanished(&self) -> News {
        let message = match self.status.state() {
            TaskState::TaskStarting => "the agent restarted before the task was launched",
            _ => "the agent restarted and the task's container is gone, as after a reboot",
        };
        if self.kill.as_ref().is_some_and(|kill| kill.overdue) {
            return News::agent(TaskState::TaskFailed, Reason::MaxCompletionTimeReached, message);
        }
        if self.kill.is_some() {
            return News::agent(TaskState::TaskKilled, Reason::AgentRestarted, message);
        }
        News::agent(TaskState::TaskLost, Reason::AgentRestarted, message)
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::health_check::TcpCheckInfo;
    use muster_api::mesos::{HealthCheck, TaskInfo, health_check};
    use muster_containerizer::Termination;

    use super::super::testing::{
        Rig, destroyed, dialled, kills, launches, registrations, states, task, timers, watched,
    };
    use super::super::{ContainerEvent, LinkEvent, Purpose, Timer};
    use super::*;

    fn running(rig: &Rig, task: &str) -> Found {
        Found { id: rig.task(task).container.clone(), pid: Some(77), addresses: None, ended: None }
    }

    fn ended(rig: &Rig, task: &str, how: Termination) -> Found {
        Found { ended: Some(how), ..running(rig, task) }
    }

    #[test]
    fn running_containers_are_adopted_with_what_is_unacknowledged() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let found = running(&rig, "t");
        let id = found.id.clone();
        let outputs = rig.restart(vec![found]);
        assert_eq!(watched(&outputs), [id.as_str()]);
        assert_eq!(dialled(&outputs).len(), 1);
        assert!(launches(&outputs).is_empty());
        assert_eq!(rig.task("t").phase(), Phase::Running);
        let outputs = rig.attach();
        assert_eq!(states(&outputs), [TaskState::TaskStarting]);
        assert_eq!(states(&rig.acknowledge("t")), [TaskState::TaskRunning]);
        assert_eq!(states(&rig.acknowledge("t")), []);
        rig.end("t", Termination::Exited(0));
        let status = rig.task("t").status();
        assert_eq!(status.state(), TaskState::TaskFinished);
        assert_eq!(status.container_status.as_ref().unwrap().executor_pid, Some(77));
    }

    #[test]
    fn a_container_launched_just_before_the_crash_runs() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        let found = running(&rig, "t");
        rig.restart(vec![found]);
        let status = rig.task("t").status();
        assert_eq!(status.state(), TaskState::TaskRunning);
        assert_eq!(status.container_status.as_ref().unwrap().executor_pid, Some(77));
    }

    #[test]
    fn what_ended_meanwhile_is_reported_and_destroyed() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let found = ended(&rig, "t", Termination::Exited(4));
        let id = found.id.clone();
        let outputs = rig.restart(vec![found]);
        assert_eq!(destroyed(&outputs), [id.as_str()]);
        assert_eq!(rig.task("t").status().message(), "Command exited with status 4");
        let register = registrations(&rig.link(LinkEvent::Connected)).remove(0);
        assert_eq!(register.tasks[0].status.as_ref().unwrap().state(), TaskState::TaskFailed);
    }

    #[test]
    fn what_was_never_launched_or_vanished_is_lost() {
        let mut rig = Rig::registered();
        rig.launch(task("never"));
        rig.run(task("vanished"));
        let outputs = rig.restart(Vec::new());
        assert!(launches(&outputs).is_empty());
        for (id, message) in [("never", "before the task was launched"), ("vanished", "reboot")] {
            let status = rig.task(id).status();
            assert_eq!(status.state(), TaskState::TaskLost);
            assert_eq!(status.reason(), Reason::AgentRestarted);
            assert!(status.message().contains(message), "{}", status.message());
        }
    }

    #[test]
    fn a_kill_is_carried_on() {
        let mut rig = Rig::registered();
        for id in ["runs", "ended", "vanished"] {
            rig.run(task(id));
            rig.kill(id, Some(8));
        }
        let found = vec![running(&rig, "runs"), ended(&rig, "ended", Termination::Signaled(15))];
        let id = found[0].id.clone();
        let outputs = rig.restart(found);
        assert_eq!(kills(&outputs), [(id.as_str(), 8)]);
        for id in ["ended", "vanished"] {
            assert_eq!(rig.task(id).status().state(), TaskState::TaskKilled);
        }
    }

    #[test]
    fn the_master_is_dialled_once_strangers_are_destroyed() {
        let mut rig = Rig::cold();
        let stranger = |id: &str| Found { id: id.into(), pid: None, addresses: None, ended: None };
        let outputs = rig.start(vec![stranger("x"), stranger("y")]);
        assert_eq!(destroyed(&outputs), ["x", "y"]);
        assert!(dialled(&outputs).is_empty());
        assert!(dialled(&rig.container("x", ContainerEvent::Destroyed)).is_empty());
        // One that resists is tried again, but does not keep the agent away.
        let failed = ContainerEvent::DestroyFailed { message: "EBUSY".into() };
        let outputs = rig.container("y", failed.clone());
        assert_eq!(dialled(&outputs).len(), 1);
        assert!(dialled(&rig.container("y", failed)).is_empty());
    }

    #[test]
    fn an_ended_tasks_leftover_container_is_destroyed() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.end("t", Termination::Exited(0));
        let found = ended(&rig, "t", Termination::Exited(0));
        let id = found.id.clone();
        let outputs = rig.restart(vec![found]);
        assert_eq!(destroyed(&outputs), [id.as_str()]);
        assert_eq!(dialled(&outputs).len(), 1);
        assert_eq!(rig.task("t").unacknowledged(), 3);
    }

    #[test]
    fn health_checks_go_on() {
        let check = HealthCheck {
            r#type: Some(health_check::Type::Tcp.into()),
            tcp: Some(TcpCheckInfo { port: 31000, protocol: None }),
            delay_seconds: Some(1.0),
            ..Default::default()
        };
        let mut rig = Rig::registered();
        rig.run(TaskInfo { health_check: Some(check), ..task("t") });
        let found = running(&rig, "t");
        let (container, purpose) = (found.id.clone(), Purpose::Health);
        let timer = Timer::Probe { container, purpose, round: 0 };
        let outputs = rig.restart(vec![found]);
        let set = timers(&outputs, |timer| matches!(timer, Timer::Probe { .. }));
        assert_eq!(set, [(Duration::from_secs(1), timer)]);
    }
}
