//! Health checks as the agent runs them.

use muster_api::mesos::{CommandInfo, HealthCheck as Mesos, health_check, network_info};

use crate::app::{HealthCheck, PortDefinition, Probe, ProbePort};
use crate::instance::Instance;

/// The check of `instance`, with its port's number filled in: it is made where the instance is.
pub(super) fn check(check: &HealthCheck, ports: &[PortDefinition], instance: &Instance) -> Mesos {
    let port = |port: ProbePort| match port {
        ProbePort::Number(number) => u32::from(number),
        // The index was checked against the ports when the application came in.
        ProbePort::Index(index) => {
            let host_port = instance.host_ports.get(index).copied().unwrap_or_default();
            ports.get(index).map_or(0, |definition| definition.inside(host_port)).into()
        }
    };
    let protocol = check.ipv6.then_some(network_info::Protocol::IPv6.into());
    let mut mesos = Mesos {
        delay_seconds: Some(check.delay_seconds.into()),
        interval_seconds: Some(check.interval_seconds.into()),
        timeout_seconds: Some(check.timeout_seconds.into()),
        grace_period_seconds: Some(check.grace_period_seconds.into()),
        consecutive_failures: Some(check.limit()),
        ..Default::default()
    };
    match &check.probe {
        Probe::Http { path, tls, port: at } => {
            mesos.set_type(health_check::Type::Http);
            mesos.http = Some(health_check::HttpCheckInfo {
                port: port(*at),
                path: Some(path.clone()),
                scheme: Some(if *tls { "https" } else { "http" }.into()),
                protocol,
                ..Default::default()
            });
        }
        Probe::Tcp { port: at } => {
            mesos.set_type(health_check::Type::Tcp);
            mesos.tcp = Some(health_check::TcpCheckInfo { port: port(*at), protocol });
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
