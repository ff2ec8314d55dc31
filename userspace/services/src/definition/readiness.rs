//! `readinessChecks`.

use super::health::path;
use crate::app::{HostPort, PortDefinition, ReadinessCheck};
use crate::reader::{Field, Object};

/// The readiness checks of an application with these ports.
pub(super) fn read(
    object: &mut Object<'_>,
    ports: &[PortDefinition],
) -> Option<Vec<ReadinessCheck>> {
    let Some(field) = object.field("readinessChecks") else { return Some(Vec::new()) };
    let elements = field.array()?;
    if elements.len() > 1 {
        field.refuse("can contain at most one check");
    }
    let checks: Vec<_> = elements.iter().map(|element| read_check(element, ports)).collect();
    checks.into_iter().collect()
}

fn read_check(field: &Field<'_>, ports: &[PortDefinition]) -> Option<ReadinessCheck> {
    let mut object = field.object()?;
    let name = object.field("name").map_or(Some("readinessCheck"), |field| field.string());
    if name == Some("") {
        object.refuse("name", "must not be empty");
    }
    let tls = match object.field("protocol") {
        None => Some(false),
        Some(field) => match field.string() {
            Some("HTTP") => Some(false),
            Some("HTTPS") => Some(true),
            Some(_) => {
                field.refuse("must be HTTP or HTTPS");
                None
            }
            None => None,
        },
    };
    let path = path(&mut object);
    let port_name = object.field("portName").map_or(Some("http-api"), |field| field.string());
    if let Some(port_name) = port_name {
        let port = ports.iter().find(|port| port.name.as_deref() == Some(port_name));
        let problem = match port.map(|port| port.host_port(false)) {
            None => Some("must name one of the application's ports: no port is called"),
            Some(HostPort::None) => Some("must name a port with a host port, which has not"),
            Some(HostPort::Any | HostPort::Fixed(_)) => None,
        };
        if let Some(problem) = problem {
            object.refuse("portName", format!("{problem} {port_name:?}"));
        }
    }
    let most = i32::MAX.unsigned_abs();
    let seconds = |object: &mut Object<'_>, name, default| {
        object.field(name).map_or(Some(default), |field| field.integer(1, most))
    };
    let interval = seconds(&mut object, "intervalSeconds", 30);
    let timeout = seconds(&mut object, "timeoutSeconds", 10);
    if let (Some(interval), Some(timeout)) = (interval, timeout)
        && timeout >= interval
    {
        object.refuse("timeoutSeconds", "must be less than intervalSeconds");
    }
    let statuses = match object.field("httpStatusCodesForReady") {
        None => Some(vec![200]),
        Some(field) => statuses(&field),
    };
    let preserve = object.field("preserveLastResponse");
    let preserve = preserve.map_or(Some(false), |field| field.boolean());
    object.finish();
    Some(ReadinessCheck {
        name: name?.to_owned(),
        tls: tls?,
        path: path?,
        port_name: port_name?.to_owned(),
        interval_seconds: interval?,
        timeout_seconds: timeout?,
        http_status_codes_for_ready: statuses?,
        preserve_last_response: preserve?,
    })
}

fn statuses(field: &Field<'_>) -> Option<Vec<u16>> {
    let elements = field.array()?;
    if elements.is_empty() {
        field.refuse("must not be empty");
    }
    let mut statuses = Vec::new();
    for element in elements {
        let Some(status) = element.integer(100, 999).and_then(|n| u16::try_from(n).ok()) else {
            continue;
        };
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Some(statuses)
}
