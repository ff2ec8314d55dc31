//! Health checks as the agent runs them.

use muster_api::mesos::{CommandInfo, HealthCheck as Mesos, health_check};

use crate::app::{HealthCheck, Probe, ProbePort};
use crate::instance::Instance;

/// The check of `instance`, with its port's number filled in.
pub(super) fn check(check: &HealthCheck, instance: &Instance) -> Mesos {
    let port = |port: ProbePort| match port {
        ProbePort::Number(number) => u32::from(number),
        // The index was checked against the ports when the application came in.
        ProbePort::Index(index) => instance.host_ports.get(index).copied().map_or(0, u32::from),
    };
    let mut mesos = Mesos {
        delay_seconds: Some(check.delay_seconds.into()),
        interval_seconds: Some(check.interval_seconds.into()),
        timeout_seconds: Some(check.timeout_seconds.into()),
        grace_period_seconds: Some(check.grace_period_seconds.into()),
        consecutive_failures: Some(check.max_consecutive_failures),
        ..Default::default()
    };
    match &check.probe {
        Probe::Http { path, port: at } => {
            mesos.set_type(health_check::Type::Http);
            mesos.http = Some(health_check::HttpCheckInfo {
                port: port(*at),
                path: Some(path.clone()),
                scheme: Some("http".into()),
                ..Default::default()
            });
        }
        Probe::Tcp { port: at } => {
            mesos.set_type(health_check::Type::Tcp);
            mesos.tcp = Some(health_check::TcpCheckInfo { port: port(*at), ..Default::default() });
        }
        Probe::Command { value } => {
            mesos.set_type(health_check::Type::Command);
            mesos.command = Some(CommandInfo {
                value: Some(value.clone()),
                shell: Some(true),
                ..Default::default()
            });
        }
    }
    mesos
}
