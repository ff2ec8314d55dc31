//! The master asks for a task with an executor.

use std::time::Duration;

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{ExecutorInfo, FrameworkInfo, TaskInfo, TaskState, executor_info};
use muster_containerizer::ContainerSpec;
use muster_resources::Resources;

use super::super::launch::{Refusal, nameable};
use super::super::spec::{self, Invalid};
use super::super::{Agent, Output, Phase, Settings, Task, TaskKey, task};
use super::{Executor, ExecutorKey, exited};

/// Whether the master has set resources aside for the executor's start, and for whom.
pub(in super::super) struct Terms {
    pub(in super::super) start: bool,
    pub(in super::super) framework: Option<FrameworkInfo>,
}

impl Agent {
    /// Checkpoints the task, and the executor if there is none yet; then launches that, or
    /// gives the task to the one that runs.
    pub(in super::super) fn launch_on(&mut self, now: Duration, mut task: Task, terms: Terms) {
        let key = task.key();
        let Some(info) = task.info.executor.clone() else { return };
        let host = ExecutorKey::new(&key.framework, &info.executor_id.value);
        let start = terms.start;
        match self.host(&key, &task, &host, &info, terms) {
            Ok(Some((executor, spec))) => {
                tracing::info!(
                    executor = host.executor,
                    container = executor.container,
                    task = key.task,
                    "launching an executor"
                );
                task.host = Some(executor.container.clone());
                task.save(&mut self.io);
                executor.save(&mut self.io);
                self.hosts.insert(executor.container.clone(), host.clone());
                self.executors.insert(host, executor);
                self.io.outbox.then(Output::Launch(Box::new(spec)));
                self.insert(task);
            }
            Ok(None) => {
                if let Some(executor) = self.executors.get_mut(&host) {
                    task.host = Some(executor.container.clone());
                    task.pid = executor.pid;
                    executor.queue.insert(key);
                }
                task.save(&mut self.io);
                self.insert(task);
                self.serve(&host);
            }
            Err(refusal) => {
                self.refuse(now, task, refusal);
                if start && !self.executors.contains_key(&host) {
                    exited(&mut self.io, &host, None);
                }
            }
        }
    }

    /// Who is to run the task: a new executor with its container, or one that is there.
    fn host(
        &mut self,
        key: &TaskKey,
        task: &Task,
        host: &ExecutorKey,
        info: &ExecutorInfo,
        terms: Terms,
    ) -> Result<Option<(Executor, ContainerSpec)>, Refusal> {
        self.check_launch(key, &task.info)?;
        nameable("executor.executor_id", &host.executor)?;
        let unsupported =
            [("command", task.info.command.is_some()), ("limits", !task.info.limits.is_empty())];
        if let Some((field, _)) = unsupported.iter().find(|(_, set)| *set) {
            return Err(Refusal::invalid(format!("{field} does not go with an executor")));
        }
        if let Some(known) = self.executors.get(host) {
            if known.ending.is_some() {
                return Err(Refusal::dropped("the executor is ending"));
            }
            if known.info != *info {
                let message = "executor is not the same as the one of its id that runs";
                return Err(Refusal::invalid(message));
            }
            self.check_resources(&task.resources)?;
            return Ok(None);
        }
        if !terms.start {
            let message = "the executor has ended, and this launch was not meant to start it";
            return Err(Refusal::dropped(message));
        }
        let resources = task::sum(&info.resources)
            .map_err(|error| Refusal::invalid(format!("executor.resources: {error}")))?;
        self.check_resources(&(task.resources.clone() + resources.clone()))?;
        let framework_id = task.framework_id.clone();
        let mut executor = Executor {
            framework: FrameworkInfo {
                id: Some(framework_id),
                ..terms.framework.unwrap_or_default()
            },
            agent_id: task.info.agent_id.clone(),
            info: info.clone(),
            container: self.io.draw_id(),
            resources,
            phase: Phase::Launching,
            pid: None,
            subscription: None,
            known: false,
            awaited: None,
            ending: None,
            given: muster_containerizer::Resources::default(),
            giving: None,
            queue: [key.clone()].into(),
        };
        executor.given = spec::promised(info.resources.iter().chain(&task.info.resources));
        let spec = container(&self.io.settings, &executor)
            .map_err(|invalid| Refusal::invalid(format!("executor.{invalid}")))?;
        Ok(Some((executor, spec)))
    }
}

impl Refusal {
    fn dropped(message: impl Into<String>) -> Self {
        Self {
            state: TaskState::TaskDropped,
            reason: Reason::ExecutorTerminated,
            message: message.into(),
        }
    }
}

/// The container of an executor.
fn container(settings: &Settings, executor: &Executor) -> Result<ContainerSpec, Invalid> {
    let info = &executor.info;
    if info.r#type() == executor_info::Type::Default {
        return Err(Invalid::new("type", "is DEFAULT, which runs task groups only"));
    }
    if info.command.is_none() {
        return Err(Invalid::new("command", "is missing"));
    }
    // All that a container asks for is said in the same words by executors and by tasks.
    let as_task = TaskInfo {
        name: info.name.clone().unwrap_or_default(),
        task_id: info.executor_id.value.as_str().into(),
        agent_id: executor.agent_id.clone(),
        resources: info.resources.clone(),
        command: info.command.clone(),
        container: info.container.clone(),
        ..TaskInfo::default()
    };
    let framework = executor.key().framework.as_str().into();
    let as_task = Task::new(framework, as_task, executor.container.clone(), Resources::default());
    let mut spec = spec::spec(settings, &as_task)?;
    let patience = &settings.patience;
    let own = info.shutdown_grace_period.map(|period| period.nanoseconds);
    let grace = own.map_or(patience.shutdown, |nanoseconds| {
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
    });
    for (name, value) in [
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", grace),
        ("MESOS_RECOVERY_TIMEOUT", patience.recovery),
        ("MESOS_SUBSCRIPTION_BACKOFF_MAX", patience.reregistration),
    ] {
        if spec.environment.iter().all(|(own, _)| own != name) {
            let value = format!("{}secs", value.as_secs_f64());
            spec.environment.push((name.to_owned(), value));
        }
    }
    spec.resources = executor.given;
    Ok(spec)
}
