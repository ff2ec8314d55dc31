//! `healthChecks`: those that the agent runs.

use super::command;
use crate::app::{HealthCheck, Probe, ProbePort};
use crate::reader::{Field, Object};

/// The health checks of an application with `ports` ports.
pub(super) fn read(object: &mut Object<'_>, ports: usize) -> Option<Vec<HealthCheck>> {
    let Some(field) = object.field("healthChecks") else { return Some(Vec::new()) };
    let elements = field.array()?;
    if elements.len() > 1 {
        field.refuse("can contain at most one health check");
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
        field.refuse("is not supported: an answer of 1xx is never the last one; leave it out");
    }
    let ipv6 = object.field("ipProtocol").map(|field| (field.string(), field));
    let ipv6 = match ipv6 {
        None | Some((Some("IPv4"), _)) => Some(false),
        Some((Some("IPv6"), _)) => Some(true),
        Some((None, _)) => None,
        Some((Some(_), field)) => {
            field.refuse("must be IPv4 or IPv6");
            None
        }
    };
    let probe = read_probe(&mut object, ports);
    object.finish();
    let (probe, by_marathon) = probe?;
    Some(HealthCheck {
        probe,
        by_marathon,
        ipv6: ipv6?,
        grace_period_seconds: grace?,
        interval_seconds: interval?,
        timeout_seconds: timeout?,
        delay_seconds: delay?,
        max_consecutive_failures: max_failures?,
    })
}

/// The probe, and whether it was asked for as one of Marathon's own.
fn read_probe(object: &mut Object<'_>, ports: usize) -> Option<(Probe, bool)> {
    let command = object.field("command");
    let protocol = object.field("protocol");
    let by_default = if command.is_some() { "COMMAND" } else { "HTTP" };
    let name = protocol.as_ref().map_or(Some(by_default), Field::string)?;
    if command.is_some() && name != "COMMAND" {
        object.refuse("command", "needs \"protocol\": \"COMMAND\"");
    }
    let by_marathon = matches!(name, "HTTP" | "HTTPS" | "TCP");
    let probe = match name {
        "MESOS_HTTP" | "MESOS_HTTPS" | "HTTP" | "HTTPS" => {
            let (path, port) = (path(object), read_port(object, ports));
            Some(Probe::Http { path: path?, tls: name.ends_with("HTTPS"), port: port? })
        }
        _ if object.field("path").is_some() => {
            object.refuse("path", "needs the protocol MESOS_HTTP or MESOS_HTTPS");
            object.ignore(&["port", "portIndex"]);
            None
        }
        "MESOS_TCP" | "TCP" => Some(Probe::Tcp { port: read_port(object, ports)? }),
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
        _ => {
            object.refuse(
                "protocol",
                "must be MESOS_HTTP, MESOS_HTTPS, MESOS_TCP or COMMAND, or one of the older \
                 HTTP, HTTPS and TCP",
            );
            object.ignore(&["port", "portIndex"]);
            None
        }
    };
    Some((probe?, by_marathon))
}

/// `path`, with a leading slash.
pub(super) fn path(object: &mut Object<'_>) -> Option<String> {
    let Some(field) = object.field("path") else { return Some("/".to_owned()) };
    let path = field.string()?;
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        field.refuse("must hold no spaces, and of other characters only ASCII");
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{slash}{path}"))
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
