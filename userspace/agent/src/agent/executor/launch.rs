//! The master asks for a task with an executor.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    ContainerInfo, ExecutorInfo, FrameworkInfo, NetworkInfo, TaskInfo, TaskState, container_info,
};
use muster_containerizer::{ContainerSpec, Kind};
use muster_resources::Resources;

use super::super::launch::{Refusal, nameable};
use super::super::spec::{self, Invalid};
use super::super::{Agent, Output, Phase, Settings, Task, Workload, task};
use super::group::{held, place};
use super::{Executor, ExecutorKey, exited};

/// Whether the master has set resources aside for the executor's start, and for whom.
pub(in super::super) struct Terms {
    pub(in super::super) start: bool,
    pub(in super::super) framework: Option<FrameworkInfo>,
}

impl Agent {
    /// Checkpoints the tasks, and the executor if there is none yet; then launches that, or
    /// gives the tasks to the one that runs. All of them or none.
    pub(in super::super) fn launch_on(
        &mut self,
        now: Duration,
        info: &ExecutorInfo,
        mut tasks: Vec<Task>,
        terms: Terms,
    ) {
        let Some(framework) = tasks.first().map(|task| task.framework_id.value.clone()) else {
            return;
        };
        let host = ExecutorKey::new(&framework, &info.executor_id.value);
        let start = terms.start;
        let started = match self.host(&host, info, &mut tasks, terms) {
            Ok(started) => started,
            Err(refusal) => {
                for task in tasks {
                    let refusal = refusal.clone().of(&task);
                    self.refuse(now, task, refusal);
                }
                if start && !self.executors.contains_key(&host) {
                    exited(&mut self.io, &host, None);
                }
                return;
            }
        };
        let launch = started.map(|(executor, spec)| {
            tracing::info!(executor = host.executor, container = spec.id, "launching an executor");
            executor.save(&mut self.io);
            self.hosts.insert(executor.container.clone(), host.clone());
            self.executors.insert(host.clone(), executor);
            Output::Launch(Box::new(Workload::Mesos(spec)))
        });
        for mut task in tasks {
            if let Some(executor) = self.executors.get_mut(&host) {
                place(&mut task, &executor.container);
                task.pid = executor.pid.filter(|_| !task.inside);
                executor.queue.insert(task.key());
            }
            task.save(&mut self.io);
            self.insert(task);
        }
        match launch {
            Some(launch) => self.io.outbox.then(launch),
            None => self.serve(now, &host),
        }
    }

    /// Who is to run the tasks: a new executor with its container, or one that is there.
    fn host(
        &mut self,
        host: &ExecutorKey,
        info: &ExecutorInfo,
        tasks: &mut [Task],
        terms: Terms,
    ) -> Result<Option<(Executor, ContainerSpec)>, Refusal> {
        nameable("executor.executor_id", &host.executor)?;
        for task in tasks.iter_mut() {
            self.check_launch(&task.key(), &task.info)?;
            if task.inside {
                self.check_inside(task)?;
                continue;
            }
            let unsupported = [
                ("command", task.info.command.is_some()),
                ("limits", !task.info.limits.is_empty()),
            ];
            if let Some((field, _)) = unsupported.iter().find(|(_, set)| *set) {
                return Err(Refusal::invalid(format!("{field} does not go with an executor")));
            }
        }
        let wanted = held(tasks);
        if let Some(known) = self.executors.get(host) {
            if known.ending.is_some() {
                return Err(Refusal::dropped("the executor is ending"));
            }
            if known.info != *info {
                let message = "executor is not the same as the one of its id that runs";
                return Err(Refusal::invalid(message));
            }
            self.check_resources(&wanted)?;
            return Ok(None);
        }
        if !terms.start {
            let message = "the executor has ended, and this launch was not meant to start it";
            return Err(Refusal::dropped(message));
        }
        let resources = task::sum(&info.resources)
            .map_err(|error| Refusal::invalid(format!("executor.resources: {error}")))?;
        self.check_resources(&(wanted + resources.clone()))?;
        let (Some(first), grouped) = (tasks.first(), tasks.iter().all(|task| task.group.is_some()))
        else {
            return Ok(None);
        };
        let framework_id = first.framework_id.clone();
        let mut executor = Executor {
            framework: FrameworkInfo {
                id: Some(framework_id),
                ..terms.framework.unwrap_or_default()
            },
            agent_id: first.info.agent_id.clone(),
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
            queue: BTreeSet::new(),
        };
        let tasks = tasks.iter().flat_map(|task| &task.info.resources);
        executor.given = spec::promised(info.resources.iter().chain(tasks));
        let spec = container(&self.io.settings, &executor, grouped)
            .map_err(|invalid| Refusal::invalid(format!("executor.{invalid}")))?;
        Ok(Some((executor, spec)))
    }
}

impl Refusal {
    /// The same of a task of a group, whichever of them is the reason.
    fn of(self, task: &Task) -> Self {
        let grouped = task.group.is_some() && self.reason == Reason::TaskInvalid;
        if grouped { Self { reason: Reason::TaskGroupInvalid, ..self } } else { self }
    }

    fn dropped(message: impl Into<String>) -> Self {
        Self {
            state: TaskState::TaskDropped,
            reason: Reason::ExecutorTerminated,
            message: message.into(),
        }
    }
}

/// The container of an executor.
fn container(
    settings: &Settings,
    executor: &Executor,
    grouped: bool,
) -> Result<ContainerSpec, Invalid> {
    let info = &executor.info;
    if executor.is_default() && grouped {
        return pod(settings, executor);
    }
    if executor.is_default() {
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

/// The container of the agent's own executor: it is there for what is nested in it.
fn pod(settings: &Settings, executor: &Executor) -> Result<ContainerSpec, Invalid> {
    let info = &executor.info;
    if info.command.is_some() {
        return Err(Invalid::new("command", "does not go with the type DEFAULT"));
    }
    if let Some(container) = &info.container {
        let plain = ContainerInfo {
            r#type: container_info::Type::Mesos.into(),
            network_infos: container.network_infos.clone(),
            ..ContainerInfo::default()
        };
        let named =
            |network: &NetworkInfo| network.name.is_some() || !network.port_mappings.is_empty();
        if *container != plain || container.network_infos.iter().any(named) {
            let problem = "can only be of the type MESOS, in the machine's own network, without \
                           more; what a task needs is set in its own container";
            return Err(Invalid::new("container", problem));
        }
    }
    Ok(ContainerSpec {
        id: executor.container.clone(),
        kind: Kind::Pod,
        sandbox: executor.sandbox(settings),
        resources: executor.given,
        ..ContainerSpec::default()
    })
}
