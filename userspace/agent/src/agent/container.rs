//! Something happened to a container.

use std::net::IpAddr;
use std::time::Duration;

use muster_api::TaskStateExt;
use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use muster_containerizer::Termination;

use super::status::News;
use super::{Agent, ContainerEvent, Io, Output, Phase, Task, Timer};

/// Pauses before a container that could not be destroyed is tried again.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_mins(5);
/// The least time from one status about a pull to the next.
const PROGRESS_PAUSE: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) fn container_event(&mut self, now: Duration, id: &str, event: ContainerEvent) {
        if let Some(key) = self.hosts.get(id).cloned() {
            return self.host_event(now, &key, event);
        }
        match event {
            ContainerEvent::Launched { pid, addresses } => self.launched(now, id, pid, addresses),
            ContainerEvent::LaunchFailed { message } => self.launch_failed(now, id, message),
            ContainerEvent::Preparing { message } => self.preparing(now, id, message),
            ContainerEvent::Ended(how) => self.ended(now, id, &how),
            ContainerEvent::KillFailed { message } => self.kill_failed(id, &message),
            ContainerEvent::Destroyed => {
                self.destroying.remove(id);
                self.orphan_gone(id);
            }
            // Only executors' containers are ever given anything, and this one is over.
            ContainerEvent::Updated | ContainerEvent::UpdateFailed { .. } => {}
            ContainerEvent::DestroyFailed { message } => self.destroy_failed(id, &message),
        }
    }

    fn launched(&mut self, now: Duration, id: &str, pid: u32, addresses: Option<Vec<IpAddr>>) {
        let task = self.containers.get(id).and_then(|key| self.tasks.get_mut(key));
        let Some(task) = task.filter(|task| task.phase != Phase::Ended) else {
            // Nobody waits for it any more, and nobody would ever end it.
            tracing::warn!(container = id, "launched for a task that is over; destroying it");
            return self.destroy(id.to_owned());
        };
        if task.phase == Phase::Running {
            return;
        }
        task.pid = Some(pid).filter(|&pid| pid > 0);
        task.addresses = addresses;
        self.io.outbox.now(Output::Watch { container: id.to_owned() });
        task.run(&mut self.io, now);
    }

    /// Tells how far a pull or a fetch is: not often, and nothing that the framework would have to catch up
    /// on.
    fn preparing(&mut self, now: Duration, id: &str, message: String) {
        let Some(key) = self.containers.get(id) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        let starting =
            task.phase == Phase::Launching && task.status.state() == TaskState::TaskStarting;
        let told = task.told_progress.is_some_and(|told| now < told + PROGRESS_PAUSE);
        let known = task.status.message.as_deref() == Some(message.as_str());
        if !starting || task.kill.is_some() || told || known || !task.stream.is_empty() {
            return;
        }
        task.told_progress = Some(now);
        let news = News { message: Some(message), ..News::executor(TaskState::TaskStarting) };
        let status = task.tell(&mut self.io, now, news);
        task.report(&mut self.io, status);
    }

    fn launch_failed(&mut self, now: Duration, id: &str, message: String) {
        let Some(key) = self.containers.get(id) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase == Phase::Ended {
            return;
        }
        tracing::error!(task = key.task, container = id, message, "cannot launch");
        let state = if task.kill.is_some() { TaskState::TaskKilled } else { TaskState::TaskFailed };
        let reason = match task.kill {
            Some(_) => Reason::TaskKilledDuringLaunch,
            None => Reason::ContainerLaunchFailed,
        };
        task.finish(&mut self.io, now, News::agent(state, reason, message));
        let key = key.clone();
        self.destroy(id.to_owned());
        self.settle(now, &key);
    }

    fn ended(&mut self, now: Duration, id: &str, how: &Termination) {
        let Some(key) = self.containers.get(id) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase == Phase::Ended {
            return;
        }
        let news = News::ended(how, task.kill.as_ref());
        tracing::info!(task = key.task, container = id, ?how, "ended");
        task.finish(&mut self.io, now, news);
        let key = key.clone();
        self.destroy(id.to_owned());
        self.settle(now, &key);
    }

    /// Has nothing left of a container, once what is known of it is on disk.
    pub(super) fn destroy(&mut self, container: String) {
        self.destroying.insert(container.clone(), 0);
        self.io.outbox.then(Output::Destroy { container });
    }

    pub(super) fn destroy_again(&mut self, container: String) {
        if self.destroying.contains_key(&container) {
            self.io.outbox.now(Output::Destroy { container });
        }
    }

    fn destroy_failed(&mut self, id: &str, message: &str) {
        self.io.counters.destroy_errors += 1;
        let failures = self.destroying.entry(id.to_owned()).or_default();
        let after = (FIRST_RETRY * 2_u32.saturating_pow((*failures).min(16))).min(LAST_RETRY);
        *failures += 1;
        tracing::error!(container = id, message, ?after, "cannot destroy; trying again");
        let timer = Timer::Destroy { container: id.to_owned() };
        self.io.outbox.now(Output::Timer { after, timer });
        self.orphan_gone(id);
    }
}

impl Task {
    /// The command has been executed, now or before the agent started.
    pub(super) fn run(&mut self, io: &mut Io, now: Duration) {
        self.phase = Phase::Running;
        if self.kill.is_some() {
            return self.kill_container(io);
        }
        let began = self.begin(now);
        self.limit_time(io, now, began);
        // A task that was adopted may have said so before.
        if self.status.state() != TaskState::TaskRunning {
            let status = self.tell(io, now, News::executor(TaskState::TaskRunning));
            self.report(io, status);
        }
        self.start_checks(io, now, began);
    }

    /// The task is over.
    pub(super) fn finish(&mut self, io: &mut Io, now: Duration, news: News) {
        debug_assert!(news.state.is_terminal());
        self.phase = Phase::Ended;
        let status = self.tell(io, now, news);
        self.report(io, status);
        let sandbox = self.sandbox(&io.settings);
        io.outbox.now(Output::Retire { sandbox });
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::container_info::{self, DockerInfo, docker_info};
    use muster_api::mesos::task_status::Source;
    use muster_api::mesos::{ContainerInfo, TaskInfo, TaskStatus, network_info};

    use super::super::Found;
    use super::super::testing::{Rig, destroyed, sent, states, task, timers, watched};
    use super::*;
    use crate::checkpoint::TASKS;

    #[test]
    fn a_task_whose_command_is_executed_runs() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        rig.acknowledge("t");
        let container = rig.task("t").container.clone();
        let outputs =
            rig.container(&container, ContainerEvent::Launched { pid: 77, addresses: None });
        assert_eq!(watched(&outputs), [container.as_str()]);
        let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!((status.state(), status.source()), (TaskState::TaskRunning, Source::Executor));
        assert_eq!(status.container_status.as_ref().unwrap().executor_pid, Some(77));
        assert_eq!(rig.agent.used(), rig.task("t").resources);
        assert!(
            rig.container(&container, ContainerEvent::Launched { pid: 78, addresses: None })
                .is_empty()
        );
    }

    fn addresses(status: &TaskStatus) -> Vec<&str> {
        let networks = &status.container_status.as_ref().unwrap().network_infos;
        networks
            .iter()
            .flat_map(|n| &n.ip_addresses)
            .map(network_info::IpAddress::ip_address)
            .collect()
    }

    #[test]
    fn a_container_in_a_network_of_its_own_has_its_own_addresses_also_after_a_restart() {
        let own = ["172.17.0.2", "fd00:17::2"];
        let docker = DockerInfo {
            image: "i".into(),
            network: Some(docker_info::Network::Bridge.into()),
            ..DockerInfo::default()
        };
        let container = ContainerInfo {
            r#type: container_info::Type::Docker.into(),
            docker: Some(docker),
            ..ContainerInfo::default()
        };
        let bridged = TaskInfo { container: Some(container), ..task("t") };
        for told in [&own[..], &[]] {
            let mut rig = Rig::registered();
            rig.launch(bridged.clone());
            rig.acknowledge("t");
            let id = rig.task("t").container.clone();
            let parsed = told.iter().map(|address| address.parse().unwrap()).collect();
            let event = ContainerEvent::Launched { pid: 77, addresses: Some(parsed) };
            let outputs = rig.container(&id, event);
            assert_eq!(addresses(&sent(&outputs)[0]), told);
            // The engine does not answer.
            rig.restart(vec![Found { id, pid: None, addresses: None, ended: None }]);
            rig.end("t", Termination::Exited(0));
            assert_eq!(addresses(&rig.task("t").status), told);
        }
    }

    #[test]
    fn the_end_is_told_and_written_before_the_container_is_destroyed() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let container = rig.task("t").container.clone();
        let event = ContainerEvent::Ended(Termination::Exited(3));
        let input = super::super::Input::Container { id: container.clone(), event };
        let outputs = rig.agent.handle(rig.now, input);
        assert!(matches!(&outputs[..], [Output::Retire { .. }, Output::Persist(_)]), "{outputs:?}");
        let outputs = rig.agent.handle(rig.now, super::super::Input::Persisted(Ok(())));
        assert_eq!(destroyed(&outputs), [container.as_str()]);
        assert_eq!(rig.task("t").status.message(), "Command exited with status 3");
        assert_eq!(rig.agent.used(), muster_resources::Resources::default());
        let again = ContainerEvent::Ended(Termination::Lost("twice".into()));
        assert!(rig.container(&container, again).is_empty());
    }

    #[test]
    fn a_launch_that_fails_says_why() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        rig.acknowledge("t");
        let container = rig.task("t").container.clone();
        let message = "mount overlay: ENOSPC".to_owned();
        let outputs = rig.container(&container, ContainerEvent::LaunchFailed { message });
        let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!((status.state(), status.source()), (TaskState::TaskFailed, Source::Agent));
        assert_eq!(status.reason(), Reason::ContainerLaunchFailed);
        assert_eq!(status.message(), "mount overlay: ENOSPC");
        assert_eq!(destroyed(&outputs), [container.as_str()]);
        assert_eq!(rig.agent.counters().launch_errors, 1);
    }

    #[test]
    fn a_container_that_cannot_be_destroyed_is_tried_again() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let container = rig.task("t").container.clone();
        rig.end("t", Termination::Exited(0));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let failed = ContainerEvent::DestroyFailed { message: "EBUSY".into() };
            let outputs = rig.container(&container, failed);
            let set = timers(&outputs, |timer| matches!(timer, Timer::Destroy { .. }));
            let [(after, timer)] = &set[..] else { panic!("{outputs:?}") };
            pauses.push(after.as_secs());
            assert_eq!(destroyed(&rig.timer(timer.clone())), [container.as_str()]);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        rig.container(&container, ContainerEvent::Destroyed);
        assert!(rig.timer(Timer::Destroy { container }).is_empty());
        assert_eq!(rig.agent.counters().destroy_errors, 8);
    }

    fn preparing(rig: &mut Rig, message: &str) -> Vec<String> {
        let container = rig.task("t").container.clone();
        let event = ContainerEvent::Preparing { message: message.to_owned() };
        let outputs = rig.container(&container, event);
        let told = |status: &TaskStatus| {
            assert_eq!(
                (status.state(), status.source()),
                (TaskState::TaskStarting, Source::Executor)
            );
            status.message().to_owned()
        };
        sent(&outputs).iter().map(told).collect()
    }

    #[test]
    fn a_pull_is_told_now_and_then_and_only_what_is_so_now() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        let nothing: [&str; 0] = [];
        assert_eq!(
            preparing(&mut rig, "0 of 9"),
            nothing,
            "the framework has not heard of the task"
        );
        rig.acknowledge("t");
        assert_eq!(preparing(&mut rig, "1 of 9"), ["1 of 9"]);
        let first = rig.task("t").status.uuid.clone();
        rig.now += Duration::from_mins(1);
        assert_eq!(preparing(&mut rig, "2 of 9"), nothing, "not acknowledged");
        rig.acknowledge("t");
        rig.now += Duration::from_secs(1);
        assert_eq!(preparing(&mut rig, "3 of 9"), ["3 of 9"]);
        assert_ne!(rig.task("t").status.uuid, first);
        rig.acknowledge("t");
        rig.now += Duration::from_secs(4);
        assert_eq!(preparing(&mut rig, "4 of 9"), nothing, "too soon");
        rig.now += Duration::from_secs(1);
        assert_eq!(preparing(&mut rig, "3 of 9"), nothing, "known");
        assert_eq!(preparing(&mut rig, "4 of 9"), ["4 of 9"]);
        rig.acknowledge("t");
        assert_eq!(rig.task("t").history().len(), 1, "its state is the same");
        rig.now += Duration::from_mins(1);
        let container = rig.task("t").container.clone();
        rig.container(&container, ContainerEvent::Launched { pid: 7, addresses: None });
        assert_eq!(rig.task("t").status.message, None);
        rig.acknowledge("t");
        assert_eq!(preparing(&mut rig, "9 of 9"), nothing, "it runs");
        assert_eq!(rig.task("t").status.state(), TaskState::TaskRunning);
    }

    #[test]
    fn a_task_that_is_to_be_killed_tells_no_pull() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        rig.acknowledge("t");
        rig.kill("t", None);
        assert!(preparing(&mut rig, "1 of 9").is_empty());
    }

    #[test]
    fn events_of_unknown_containers_are_ignored() {
        let mut rig = Rig::registered();
        for event in [
            ContainerEvent::LaunchFailed { message: String::new() },
            ContainerEvent::Ended(Termination::Exited(0)),
            ContainerEvent::Destroyed,
        ] {
            assert!(rig.container("nobody's", event).is_empty());
        }
        assert_eq!(rig.rows(TASKS), 0);
    }

    #[test]
    fn a_container_whose_task_is_over_is_destroyed() {
        let mut rig = Rig::registered();
        assert_eq!(
            destroyed(&rig.container("x", ContainerEvent::Launched { pid: 1, addresses: None })),
            ["x"]
        );
        rig.launch(task("t"));
        let container = rig.task("t").container.clone();
        rig.container(&container, ContainerEvent::LaunchFailed { message: "x".into() });
        let outputs =
            rig.container(&container, ContainerEvent::Launched { pid: 1, addresses: None });
        assert_eq!(destroyed(&outputs), [container.as_str()]);
        assert_eq!(rig.task("t").status.state(), TaskState::TaskFailed);
    }

    #[test]
    fn the_history_keeps_each_state_once() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.end("t", Termination::Exited(0));
        let history: Vec<_> = rig.task("t").history().iter().map(TaskStatus::state).collect();
        let expected = [TaskState::TaskStarting, TaskState::TaskRunning, TaskState::TaskFinished];
        assert_eq!(history, expected);
        assert_eq!(states(&rig.acknowledge("t")), [TaskState::TaskRunning]);
    }
}
