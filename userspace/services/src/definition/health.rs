//! `healthChecks`: those that the agent runs.

use super::command;
use crate::app::{HealthCheck, Probe, ProbePort};
use crate::reader::{Field, Object};

/// The health checks of an application with `ports` ports.
pub(super) fn read(object: &mut Object<'_>, ports: usize) -> Option<Vec<HealthCheck>> {
    let Some(field) = object.field("healthChecks") else { return Some(Vec::new()) };
    let elements = field.array()?;
    if elements.len() > 1 {
        field.refuse("can contain at most one Mesos health check");
    }
    let checks: Vec<_> = elements.iter().map(|element| read_check(element, ports)).collect();
    checks.into_iter().collect()
}

fn read_check(field: &Field<'_>, ports: usize) -> Option<HealthCheck> {
    let mut object = field.object()?;
    let seconds = |object: &mut Object<'_>, name, min, default| {
        let max = i32::MAX.unsigned_abs();
        object.field(name).map_or(Some(default), |field| field.integer(min, max))
    };
    let grace = seconds(&mut object, "gracePeriodSeconds", 0, 300);
    let interval = seconds(&mut object, "intervalSeconds", 1, 60);
    let timeout = seconds(&mut object, "timeoutSeconds", 1, 20);
    let delay = seconds(&mut object, "delaySeconds", 0, 15);
    let max_failures = seconds(&mut object, "maxConsecutiveFailures", 0, 3);
    if let Some(field) = object.field("ignoreHttp1xx")
        && field.boolean() == Some(true)
    {
        field.refuse("only applies to checks by Marathon itself: use MESOS_HTTP without it");
    }
    match object.field("ipProtocol").map(|field| (field.string(), field)) {
        None | Some((None | Some("IPv4"), _)) => {}
        Some((Some(_), field)) => field.refuse("must be IPv4: IPv6 is not supported yet"),
    }
    let probe = read_probe(&mut object, ports);
    object.finish();
    Some(HealthCheck {
        probe: probe?,
        grace_period_seconds: grace?,
        interval_seconds: interval?,
        timeout_seconds: timeout?,
        delay_seconds: delay?,
        max_consecutive_failures: max_failures?,
    })
}

fn read_probe(object: &mut Object<'_>, ports: usize) -> Option<Probe> {
    let command = object.field("command");
    let path = object.field("path");
    let protocol = object.field("protocol");
    let by_default = if command.is_some() { "COMMAND" } else { "HTTP" };
    let name = protocol.as_ref().map_or(Some(by_default), Field::string)?;
    if command.is_some() && name != "COMMAND" {
        object.refuse("command", "needs \"protocol\": \"COMMAND\"");
    }
    if path.is_some() && name != "MESOS_HTTP" {
        object.refuse("path", "needs \"protocol\": \"MESOS_HTTP\"");
    }
    match name {
        "MESOS_HTTP" => {
            let path = path.as_ref().map_or(Some("/"), Field::string);
            let port = read_port(object, ports);
            let path = path?;
            if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
                object.refuse("path", "must not contain spaces");
                return None;
            }
            let slash = if path.starts_with('/') { "" } else { "/" };
            Some(Probe::Http { path: format!("{slash}{path}"), port: port? })
        }
        "MESOS_TCP" => Some(Probe::Tcp { port: read_port(object, ports)? }),
        "COMMAND" => {
            object.ignore(&["port", "portIndex"]);
            let Some(command) = command else {
                object.refuse("command", "is missing: {\"value\": \"<command line>\"}");
                return None;
            };
            let mut command = command.object()?;
            let Some(field) = command.field("value") else {
                command.refuse("value", "is missing: the command line");
                return None;
            };
            let value = command::text(&field);
            command.finish();
            Some(Probe::Command { value: value? })
        }
        "HTTP" | "HTTPS" | "TCP" | "MESOS_HTTPS" => {
            object.refuse(
                "protocol",
                format!("{name} is not supported yet: use MESOS_HTTP, MESOS_TCP or COMMAND"),
            );
            object.ignore(&["port", "portIndex"]);
            None
        }
        _ => {
            object.refuse("protocol", "must be MESOS_HTTP, MESOS_TCP or COMMAND");
            object.ignore(&["port", "portIndex"]);
            None
        }
    }
}

fn read_port(object: &mut Object<'_>, ports: usize) -> Option<ProbePort> {
    let index = object.field("portIndex");
    let number = object.field("port");
    match (index, number) {
        (Some(_), Some(number)) => {
            number.refuse("must not be given together with portIndex");
            None
        }
        (None, Some(number)) => {
            let number = number.integer(1, u16::MAX.into())?;
            u16::try_from(number).ok().map(ProbePort::Number)
        }
        (index, None) => {
            let given = index.as_ref().map_or(Some(0), |field| field.integer(0, u32::MAX))?;
            let position = usize::try_from(given).ok().filter(|position| *position < ports);
            if position.is_none() {
                object.refuse(
                    "portIndex",
                    format!("must address one of the application's {ports} ports"),
                );
            }
            position.map(ProbePort::Index)
        }
    }
}
