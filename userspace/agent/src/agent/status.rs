//! Task statuses: states, sources, reasons and messages as Mesos gives them.

use std::net::IpAddr;
use std::time::Duration;

use muster_api::TaskStateExt;
use muster_api::mesos::task_status::{Reason, Source};
use muster_api::mesos::{
    CheckStatusInfo, ContainerId, ContainerStatus, NetworkInfo, Resource, TaskResourceLimitation,
    TaskState, TaskStatus, network_info, value,
};
use muster_containerizer::{Amount, Cause, Termination, nested_id, split_id, valid_id};
use rand::Rng;

use super::spec::Invalid;
use super::{Executor, Io, Phase, Settings, Task, check, signal};
use crate::checkpoint::KillRow;

/// What is particular about one status of a task.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) state: TaskState,
    pub(crate) source: Source,
    pub(crate) reason: Option<Reason>,
    pub(crate) message: Option<String>,
    pub(crate) healthy: Option<bool>,
    pub(crate) check: Option<CheckStatusInfo>,
    pub(crate) limitation: Option<TaskResourceLimitation>,
}

impl News {
    /// What Mesos' command executor would say; this agent plays its part.
    pub(crate) fn executor(state: TaskState) -> Self {
        Self {
            state,
            source: Source::Executor,
            reason: None,
            message: None,
            healthy: None,
            check: None,
            limitation: None,
        }
    }

    /// What Mesos' agent itself would say.
    pub(crate) fn agent(state: TaskState, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            source: Source::Agent,
            reason: Some(reason),
            message: Some(message.into()),
            ..Self::executor(state)
        }
    }

    /// How a task ended, given how its container did and whether it was to be killed.
    pub(crate) fn ended(how: &Termination, kill: Option<&KillRow>) -> Self {
        if let Some(kill) = kill {
            return Self::killed(how, kill);
        }
        match how {
            Termination::Exited(0) => {
                Self { message: Some(describe(how)), ..Self::executor(TaskState::TaskFinished) }
            }
            Termination::Exited(_) | Termination::Signaled(_) => {
                Self { message: Some(describe(how)), ..Self::executor(TaskState::TaskFailed) }
            }
            Termination::Limited(limited) => Self {
                limitation: Some(limitation(&limited.resources)),
                ..Self::agent(TaskState::TaskFailed, reason(limited.cause), describe(how))
            },
            Termination::Lost(_) => {
                Self::agent(TaskState::TaskLost, Reason::ExecutorTerminated, describe(how))
            }
        }
    }

    fn killed(how: &Termination, kill: &KillRow) -> Self {
        let killed = Self::executor(TaskState::TaskKilled);
        if kill.overdue {
            return Self {
                message: Some(describe(how)),
                reason: Some(Reason::MaxCompletionTimeReached),
                ..Self::executor(TaskState::TaskFailed)
            };
        }
        match &kill.unhealthy {
            Some(unhealthy) => Self {
                message: Some(format!("Killed as unhealthy: {unhealthy}; {}", describe(how))),
                healthy: Some(false),
                ..killed
            },
            None => Self {
                message: Some(describe(how)),
                reason: kill.during_launch.then_some(Reason::TaskKilledDuringLaunch),
                ..killed
            },
        }
    }
}

/// How a container ended, in Mesos' words.
pub(crate) fn describe(how: &Termination) -> String {
    match how {
        Termination::Exited(status) => format!("Command exited with status {status}"),
        Termination::Signaled(signal) => {
            format!("Command terminated with signal {}", signal::name(*signal))
        }
        Termination::Limited(limited) => limited.message.clone(),
        Termination::Lost(why) => format!("How the command ended is unknown: {why}"),
    }
}

fn reason(cause: Cause) -> Reason {
    match cause {
        Cause::Memory => Reason::ContainerLimitationMemory,
        Cause::Disk => Reason::ContainerLimitationDisk,
        Cause::Other => Reason::ContainerLimitation,
    }
}

/// The resources whose limit was hit: their values are the most that was used.
#[allow(deprecated)] // Mesos itself gives the role of a limitation in the old form.
fn limitation(used: &[Amount]) -> TaskResourceLimitation {
    let resource = |used: &Amount| {
        // Thousandths of megabytes of a machine are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let value = used.milli as f64 / 1000.0;
        Resource {
            name: used.name.clone(),
            r#type: value::Type::Scalar.into(),
            scalar: Some(value::Scalar { value }),
            role: Some("*".to_owned()),
            ..Default::default()
        }
    };
    TaskResourceLimitation { resources: used.iter().map(resource).collect() }
}

impl Task {
    /// The complete status for `news`, with a uuid of its own.
    pub(crate) fn tell(&self, io: &mut Io, now: Duration, news: News) -> TaskStatus {
        let mut uuid = [0; 16];
        io.rng.fill_bytes(&mut uuid);
        // As long as it lives, what is known of it stands.
        let before = (!news.state.is_terminal()).then_some(&self.status);
        let check = self.info.check.as_ref().filter(|_| !self.hosted());
        let found = || before.and_then(|before| before.check_status);
        let check_status = check
            .and_then(|check| news.check.or_else(found).or_else(|| Some(check::unknown(check))));
        TaskStatus {
            task_id: self.info.task_id.clone(),
            state: news.state.into(),
            data: None,
            message: news.message,
            agent_id: Some(self.info.agent_id.clone()),
            timestamp: Some(now.as_secs_f64()),
            executor_id: Some(self.executor_id().into()),
            healthy: news.healthy.or_else(|| before.and_then(|before| before.healthy)),
            source: Some(news.source.into()),
            reason: news.reason.map(Into::into),
            uuid: Some(uuid::Builder::from_random_bytes(uuid).into_uuid().as_bytes().to_vec()),
            labels: None,
            container_status: self.container_status(io),
            unreachable_time: None,
            check_status,
            limitation: news.limitation,
        }
    }

    /// Where the task runs, and at which addresses: the machine's if it shares that's network. Nowhere if
    /// it was refused.
    pub(crate) fn container_status(&self, io: &Io) -> Option<ContainerStatus> {
        if self.phase == Phase::Ended && self.pid.is_none() {
            return None;
        }
        Some(place(&io.settings, self.container_id(), self.pid, self.addresses.as_deref()))
    }
}

impl Executor {
    /// Where its container is.
    pub(crate) fn container_status(&self, settings: &Settings) -> ContainerStatus {
        place(settings, &self.container, self.pid, None)
    }
}

/// A container's name as Mesos gives it.
pub(crate) fn container_id(name: &str) -> ContainerId {
    let (parent, id) = split_id(name);
    let parent = parent.map(|parent| Box::new(container_id(parent)));
    ContainerId { value: id.to_owned(), parent }
}

/// The name of the container with this id; `field` is what the id is called.
///
/// # Errors
/// The part of the id that cannot be one.
pub(crate) fn container_name(field: &str, id: &ContainerId) -> Result<String, Invalid> {
    if !valid_id(&id.value) {
        let problem = "must have 1 to 242 letters, digits, `-`, `_` or `.`, and no `.` first";
        return Err(Invalid::new(format!("{field}.value"), problem));
    }
    let Some(parent) = id.parent.as_deref() else { return Ok(id.value.clone()) };
    Ok(nested_id(&container_name(&format!("{field}.parent"), parent)?, &id.value))
}

/// Where a container is: at its own addresses, or at the machine's if it shares its network.
fn place(
    settings: &Settings,
    container: &str,
    pid: Option<u32>,
    own: Option<&[IpAddr]>,
) -> ContainerStatus {
    let address = |address: &IpAddr| network_info::IpAddress {
        protocol: Some(match address {
            IpAddr::V4(_) => network_info::Protocol::IPv4.into(),
            IpAddr::V6(_) => network_info::Protocol::IPv6.into(),
        }),
        ip_address: Some(address.to_string()),
    };
    let addresses = own.unwrap_or(std::slice::from_ref(&settings.address));
    let ip_addresses = addresses.iter().map(address).collect();
    ContainerStatus {
        network_infos: vec![NetworkInfo { ip_addresses, ..Default::default() }],
        cgroup_info: None,
        executor_pid: pid,
        container_id: Some(container_id(container)),
    }
}

#[cfg(test)]
mod tests {
    use muster_containerizer::Limitation;

    use super::*;

    fn kill(unhealthy: Option<&str>, during_launch: bool) -> KillRow {
        let unhealthy = unhealthy.map(Into::into);
        KillRow { grace: 0, unhealthy, during_launch, given: true, overdue: false }
    }

    #[test]
    fn ids_are_names_and_back() {
        for name in ["a", "a/b.c/d_1"] {
            assert_eq!(container_name("id", &container_id(name)).unwrap(), name);
        }
        let inner = |value: &str| ContainerId {
            value: "b".into(),
            parent: Some(Box::new(ContainerId { value: value.into(), parent: None })),
        };
        for (id, field) in [
            (ContainerId { value: "../x".into(), parent: None }, "id.value must have"),
            (ContainerId { value: String::new(), parent: None }, "id.value must have"),
            (inner("a/b"), "id.parent.value must have"),
            (inner(".a"), "id.parent.value must have"),
        ] {
            let problem = container_name("id", &id).unwrap_err().to_string();
            assert!(problem.starts_with(field), "{problem}");
        }
    }

    #[test]
    fn ends_are_told_as_mesos_tells_them() {
        use TaskState::{TaskFailed, TaskFinished, TaskKilled, TaskLost};
        let limited = |cause| {
            let message = "Memory limit exceeded: Requested: 64MB".into();
            Termination::Limited(Limitation { cause, message, resources: Vec::new() })
        };
        let killed = kill(None, false);
        let cases = [
            (Termination::Exited(0), None, TaskFinished, None, "Command exited with status 0"),
            (Termination::Exited(3), None, TaskFailed, None, "Command exited with status 3"),
            (
                Termination::Signaled(11),
                None,
                TaskFailed,
                None,
                "Command terminated with signal Segmentation fault",
            ),
            (
                Termination::Signaled(40),
                None,
                TaskFailed,
                None,
                "Command terminated with signal Unknown signal 40",
            ),
            (
                limited(Cause::Memory),
                None,
                TaskFailed,
                Some(Reason::ContainerLimitationMemory),
                "Memory limit exceeded: Requested: 64MB",
            ),
            (
                limited(Cause::Other),
                None,
                TaskFailed,
                Some(Reason::ContainerLimitation),
                "Memory limit exceeded: Requested: 64MB",
            ),
            (
                Termination::Lost("no status file".into()),
                None,
                TaskLost,
                Some(Reason::ExecutorTerminated),
                "How the command ended is unknown: no status file",
            ),
            (
                Termination::Signaled(9),
                Some(killed),
                TaskKilled,
                None,
                "Command terminated with signal Killed",
            ),
            (
                Termination::Exited(0),
                Some(kill(None, true)),
                TaskKilled,
                Some(Reason::TaskKilledDuringLaunch),
                "Command exited with status 0",
            ),
        ];
        for (how, kill, state, reason, message) in cases {
            let news = News::ended(&how, kill.as_ref());
            assert_eq!((news.state, news.reason), (state, reason), "{how:?}");
            assert_eq!(news.message.as_deref(), Some(message));
            assert_eq!(news.healthy, None);
        }
    }

    #[test]
    fn a_task_killed_as_unhealthy_says_so() {
        let news = News::ended(&Termination::Signaled(9), Some(&kill(Some("no answer"), false)));
        assert_eq!((news.state, news.healthy), (TaskState::TaskKilled, Some(false)));
        let message = "Killed as unhealthy: no answer; Command terminated with signal Killed";
        assert_eq!(news.message.as_deref(), Some(message));
    }

    #[test]
    fn a_limit_names_the_most_that_was_used() {
        let resources = vec![Amount { name: "mem".into(), milli: 48_500 }];
        let (cause, message) = (Cause::Memory, String::new());
        let how = Termination::Limited(Limitation { cause, message, resources });
        let limitation = News::ended(&how, None).limitation.unwrap();
        let [memory] = &limitation.resources[..] else { panic!() };
        assert_eq!((memory.name.as_str(), memory.scalar.unwrap().value), ("mem", 48.5));
    }
}
