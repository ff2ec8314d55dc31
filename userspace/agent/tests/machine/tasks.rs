//! Tasks to launch.

use muster_api::mesos::health_check::{HttpCheckInfo, TcpCheckInfo, Type};
use muster_api::mesos::{
    CommandInfo, DurationInfo, HealthCheck, KillPolicy, Resource, TaskInfo, value,
};

use super::master::AGENT;

pub(crate) fn scalar(name: &str, value: f64) -> Resource {
    Resource {
        name: name.into(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    }
}

/// A task that runs a line in a shell, with the machine's own files.
pub(crate) fn shell(id: &str, line: &str) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: id.into(),
        agent_id: AGENT.into(),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0)],
        command: Some(CommandInfo { value: Some(line.into()), ..Default::default() }),
        ..Default::default()
    }
}

/// A task that writes a line to `starts` each time it starts, and runs until it is told to
/// end.
pub(crate) fn sleeper(id: &str) -> TaskInfo {
    shell(id, "echo $$ >> starts; trap 'exit 0' TERM; while :; do sleep 0.1; done")
}

pub(crate) fn grace(seconds: i64) -> KillPolicy {
    KillPolicy { grace_period: Some(DurationInfo { nanoseconds: seconds * 1_000_000_000 }) }
}

fn often(check: HealthCheck) -> HealthCheck {
    HealthCheck {
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.05),
        timeout_seconds: Some(20.0),
        grace_period_seconds: Some(0.0),
        consecutive_failures: Some(2),
        ..check
    }
}

pub(crate) fn http(port: u16) -> HealthCheck {
    let http = HttpCheckInfo { port: port.into(), ..Default::default() };
    often(HealthCheck { r#type: Some(Type::Http.into()), http: Some(http), ..Default::default() })
}

pub(crate) fn tcp(port: u16) -> HealthCheck {
    let tcp = TcpCheckInfo { port: port.into(), protocol: None };
    often(HealthCheck { r#type: Some(Type::Tcp.into()), tcp: Some(tcp), ..Default::default() })
}

pub(crate) fn command(line: &str) -> HealthCheck {
    let command = CommandInfo { value: Some(line.into()), ..Default::default() };
    often(HealthCheck {
        r#type: Some(Type::Command.into()),
        command: Some(command),
        ..Default::default()
    })
}
