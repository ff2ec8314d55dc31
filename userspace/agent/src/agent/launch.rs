//! The master asks for a task.

use std::time::Duration;

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{TaskInfo, TaskState};
use muster_api::muster::Launch;
use muster_resources::Resources;

use super::executor::Terms;
use super::status::News;
use super::{Agent, Output, Phase, Task, TaskKey, Workload, spec};

/// Why a task is not launched.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { state: TaskState::TaskError, reason: Reason::TaskInvalid, message: message.into() }
    }
}

impl Agent {
    /// Checkpoints the task, then launches its container. A task that is known already
    /// is left as it is: the master may repeat itself.
    pub(super) fn launch(&mut self, now: Duration, launch: Launch) {
        let (Some(framework_id), Some(info)) = (launch.framework_id, launch.task) else {
            tracing::warn!("the master asked for a launch without framework id or task; ignored");
            return;
        };
        let key = TaskKey::new(&framework_id, &info.task_id);
        if self.tasks.contains_key(&key) {
            tracing::debug!(task = key.task, "launch of a known task ignored");
            return;
        }
        let container = self.io.draw_id();
        let parsed = super::task::sum(&info.resources);
        let resources = parsed.as_ref().cloned().unwrap_or_default();
        let mut task = Task::new(framework_id, info, container, resources);
        task.tell_killing = launch.tell_killing;
        task.framework.clone_from(&launch.framework);
        let parsed = parsed.map_err(|error| Refusal::invalid(format!("resources: {error}")));
        if let (Some(executor), Ok(_)) = (task.info.executor.clone(), &parsed) {
            let terms = Terms { start: launch.launch_executor, framework: launch.framework };
            return self.launch_on(now, &executor, vec![task], terms);
        }
        match parsed.and_then(|_| self.plan(&key, &mut task)) {
            Ok(workload) => {
                tracing::info!(task = key.task, container = task.container, "launching");
                let news = News::executor(TaskState::TaskStarting);
                let status = task.tell(&mut self.io, now, news);
                task.report(&mut self.io, status);
                self.io.outbox.then(Output::Launch(Box::new(workload)));
                self.insert(task);
            }
            Err(refusal) => self.refuse(now, task, refusal),
        }
    }

    /// Ends a task before it began.
    pub(super) fn refuse(&mut self, now: Duration, mut task: Task, refusal: Refusal) {
        let id = &task.info.task_id.value;
        tracing::warn!(task = id, message = refusal.message, "refused");
        task.phase = Phase::Ended;
        task.resources = Resources::default();
        task.durable = self.io.outbox.failure().is_none();
        let news = News::agent(refusal.state, refusal.reason, refusal.message);
        let status = task.tell(&mut self.io, now, news);
        task.report(&mut self.io, status);
        self.insert(task);
    }

    /// The container for a task, if it can and may run here.
    fn plan(&self, key: &TaskKey, task: &mut Task) -> Result<Workload, Refusal> {
        self.check_launch(key, &task.info)?;
        self.check_resources(&task.resources)?;
        let checked = task.set_checks();
        let workload = checked.and_then(|()| spec::workload(&self.io.settings, task));
        workload.map_err(|invalid| Refusal::invalid(invalid.to_string()))
    }

    /// Whether the task may be launched here now, whoever is to run it.
    pub(super) fn check_launch(&self, key: &TaskKey, info: &TaskInfo) -> Result<(), Refusal> {
        if self.refused.contains(key) {
            return Err(Refusal {
                state: TaskState::TaskKilled,
                reason: Reason::TaskKilledDuringLaunch,
                message: "killed before it was launched".to_owned(),
            });
        }
        if let Some(error) = self.io.outbox.failure() {
            return Err(Refusal {
                state: TaskState::TaskFailed,
                reason: Reason::ContainerLaunchFailed,
                message: format!("cannot checkpoint the task: {error}"),
            });
        }
        self.check_ids(key, info)
    }

    fn check_ids(&self, key: &TaskKey, info: &TaskInfo) -> Result<(), Refusal> {
        let (wanted, own) = (&info.agent_id.value, self.id.as_deref().unwrap_or_default());
        if wanted != own {
            let message = format!("agent_id is {wanted}, this agent is {own}");
            return Err(Refusal::invalid(message));
        }
        nameable("framework_id", &key.framework)?;
        nameable("task_id", &key.task)
    }

    /// Whether the machine has what the task wants, and has it to spare.
    pub(super) fn check_resources(&self, wanted: &Resources) -> Result<(), Refusal> {
        let total = &self.io.settings.resources.to_unreserved();
        if !total.contains(wanted) {
            let message = format!("resources are {wanted}, this agent has {total}");
            return Err(Refusal::invalid(message));
        }
        let used = self.used();
        if !(total.clone() - &used).contains(wanted) {
            return Err(Refusal {
                state: TaskState::TaskDropped,
                reason: Reason::ResourcesUnknown,
                message: format!(
                    "resources are {wanted}, this agent has {total} of which tasks hold {used}"
                ),
            });
        }
        Ok(())
    }
}

/// Whether an id can become the name of a directory.
pub(super) fn nameable(field: &str, id: &str) -> Result<(), Refusal> {
    if matches!(id, "" | "." | "..") || id.contains(['/', '\0']) {
        return Err(Refusal::invalid(format!("{field} {id:?} cannot name a directory")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::task_status::Source;
    use muster_api::mesos::{CheckInfo, HealthCheck};

    use super::super::testing::{Rig, launches, ports, scalar, sent, states, task};
    use super::*;
    use crate::checkpoint::{TASKS, UPDATES};

    #[test]
    fn a_launch_is_checkpointed_before_it_happens() {
        let mut rig = Rig::registered();
        let launch =
            Launch { framework_id: Some("f".into()), task: Some(task("t")), ..Launch::default() };
        let message = muster_api::muster::MasterMessage {
            message: Some(muster_api::muster::master_message::Message::Launch(launch)),
        };
        let input = super::super::Input::Link {
            session: rig.session,
            event: super::super::LinkEvent::Message(Box::new(message)),
        };
        let outputs = rig.agent.handle(rig.now, input);
        let [Output::Persist(batch)] = &outputs[..] else { panic!("{outputs:?}") };
        let tables: Vec<_> = batch.changes().iter().map(|change| change.table).collect();
        assert_eq!(tables, [TASKS, UPDATES]);
        let outputs = rig.agent.handle(rig.now, super::super::Input::Persisted(Ok(())));
        assert_eq!(states(&outputs), [TaskState::TaskStarting]);
        assert_eq!(launches(&outputs).len(), 1);
    }

    #[test]
    fn starting_is_told_with_all_that_is_known() {
        let mut rig = Rig::registered();
        let outputs = rig.launch(task("t"));
        let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
        let [spec] = &launches(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!(status.source(), Source::Executor);
        assert_eq!(status.agent_id, Some("m-S0".into()));
        assert_eq!(status.executor_id, Some("t".into()));
        assert_eq!(status.timestamp, Some(1_000_000.0));
        assert_eq!(status.uuid.as_ref().unwrap().len(), 16);
        let container = status.container_status.as_ref().unwrap();
        assert_eq!(container.container_id.as_ref().unwrap().value, spec.id);
        assert_eq!(container.network_infos[0].ip_addresses[0].ip_address(), "10.0.0.1");
        assert_eq!(spec.id.len(), 36);
    }

    #[test]
    fn a_second_launch_of_a_known_task_is_ignored_also_once_it_has_ended() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        assert!(rig.launch(task("t")).is_empty());
        rig.end("t", muster_containerizer::Termination::Exited(0));
        assert!(launches(&rig.launch(task("t"))).is_empty());
    }

    #[test]
    fn equal_ids_of_different_frameworks_are_different_tasks() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        let launch =
            Launch { framework_id: Some("g".into()), task: Some(task("t")), ..Launch::default() };
        let outputs = rig.say(muster_api::muster::master_message::Message::Launch(launch));
        assert_eq!(launches(&outputs).len(), 1);
        assert_eq!(rig.agent.tasks().count(), 2);
    }

    #[test]
    fn what_the_machine_never_has_is_an_error_and_what_it_lacks_now_is_dropped() {
        let mut rig = Rig::registered();
        let with = |id: &str, resources: Vec<_>| TaskInfo { resources, ..task(id) };
        let refused = [
            (with("a", vec![scalar("cpus", 4.5)]), "resources are"),
            (with("b", vec![scalar("gpus", 1.0)]), "this agent has"),
            (with("c", vec![ports(80, 80)]), "this agent has"),
            (with("d", vec![scalar("cpus", -1.0)]), "resources: "),
        ];
        for (info, message) in refused {
            let outputs = rig.launch(info);
            let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
            assert_eq!(status.state(), TaskState::TaskError);
            assert_eq!(status.reason(), Reason::TaskInvalid);
            assert_eq!(status.source(), Source::Agent);
            assert!(status.message().contains(message), "{}", status.message());
            assert_eq!(status.container_status, None);
            assert!(launches(&outputs).is_empty());
        }
        rig.launch(with("e", vec![scalar("cpus", 3.0), ports(31000, 31000)]));
        for resources in [vec![scalar("cpus", 1.5)], vec![ports(31000, 31001)]] {
            let outputs = rig.launch(with("f", resources));
            assert_eq!(states(&outputs), [TaskState::TaskDropped]);
            rig.acknowledge("f");
        }
        rig.end("e", muster_containerizer::Termination::Exited(0));
        let outputs = rig.launch(with("f", vec![scalar("cpus", 1.5)]));
        assert_eq!(launches(&outputs).len(), 1);
    }

    #[test]
    fn a_refused_task_is_forgotten_once_that_is_acknowledged() {
        let mut rig = Rig::registered();
        rig.launch(TaskInfo { agent_id: "m-S9".into(), ..task("t") });
        assert_eq!(rig.task("t").status.message(), "agent_id is m-S9, this agent is m-S0");
        assert_eq!((rig.rows(TASKS), rig.rows(UPDATES)), (1, 1));
        rig.acknowledge("t");
        assert_eq!((rig.rows(TASKS), rig.rows(UPDATES)), (0, 0));
        assert!(!rig.knows("t"));
    }

    #[test]
    fn ids_that_would_leave_the_sandboxes_are_refused() {
        let mut rig = Rig::registered();
        for id in ["..", ".", "a/b", "/etc"] {
            assert_eq!(states(&rig.launch(task(id))), [TaskState::TaskError], "{id}");
        }
    }

    #[test]
    fn checks_that_make_no_sense_are_refused_by_name() {
        let mut rig = Rig::registered();
        rig.launch(TaskInfo { check: Some(CheckInfo::default()), ..task("a") });
        assert_eq!(
            rig.task("a").status.message().split(", ").next(),
            Some("check.type is missing or unknown")
        );
        rig.launch(TaskInfo { health_check: Some(HealthCheck::default()), ..task("b") });
        assert!(rig.task("b").status.message().starts_with("health_check.type is missing"));
    }
}
