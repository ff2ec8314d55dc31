//! What a check does, and what it can find.

use muster_api::mesos::check_status_info::{Command, Http, Tcp};
use muster_api::mesos::{
    CheckInfo, CheckStatusInfo, CommandInfo, HealthCheck, check_info, health_check, network_info,
};
use muster_containerizer::Execution;

use super::command::{command, environment};
use super::spec::Invalid;

/// Which of a task's checks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// `health_check`: whether it works, and is to be killed if not.
    Health,
    /// `check`: what it answers, which is told and no more.
    Check,
}

/// One way to check a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Runs a command inside the container.
    Command(Execution),
    /// Gets a page.
    Http {
        /// Port in the container's network, 1 to 65535.
        port: u16,
        /// What to get.
        path: String,
        /// Whether over TLS, whose certificate is not verified.
        tls: bool,
        /// Address family to connect over.
        family: Family,
    },
    /// Connects.
    Tcp {
        /// Port in the container's network, 1 to 65535.
        port: u16,
        /// Address family to connect over.
        family: Family,
    },
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What came of a check that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The command returned this, or 128 and the number of the signal that ended it.
    Exit(i32),
    /// The server answered with this status.
    Status(u16),
    /// The connection was accepted; or why not.
    Connection(Result<(), String>),
}

impl Finding {
    /// As Mesos tells it.
    pub(crate) fn status(&self) -> CheckStatusInfo {
        match self {
            Self::Exit(code) => CheckStatusInfo {
                r#type: Some(check_info::Type::Command.into()),
                command: Some(Command { exit_code: Some(*code) }),
                ..CheckStatusInfo::default()
            },
            Self::Status(status) => CheckStatusInfo {
                r#type: Some(check_info::Type::Http.into()),
                http: Some(Http { status_code: Some((*status).into()) }),
                ..CheckStatusInfo::default()
            },
            Self::Connection(result) => CheckStatusInfo {
                r#type: Some(check_info::Type::Tcp.into()),
                tcp: Some(Tcp { succeeded: Some(result.is_ok()) }),
                ..CheckStatusInfo::default()
            },
        }
    }

    /// Why that is not healthy, if it is not. HTTP statuses from 200 to 399 are good, unless
    /// others are named.
    pub(crate) fn problem(&self, statuses: &[u32]) -> Option<String> {
        match self {
            Self::Exit(0) | Self::Connection(Ok(())) => None,
            Self::Exit(code @ 129..) => {
                Some(format!("the command was killed by signal {}", code - 128))
            }
            Self::Exit(code) => Some(format!("the command exited with status {code}")),
            Self::Connection(Err(reason)) => Some(reason.clone()),
            Self::Status(status) => {
                let good = match statuses {
                    [] => (200..400).contains(status),
                    named => named.contains(&u32::from(*status)),
                };
                (!good).then(|| format!("the answer has the status {status}"))
            }
        }
    }
}

/// The status of a check of this kind that has found nothing.
pub(crate) fn unknown(check: &CheckInfo) -> CheckStatusInfo {
    let mut status = CheckStatusInfo { r#type: check.r#type, ..CheckStatusInfo::default() };
    match check.r#type() {
        check_info::Type::Command => status.command = Some(Command::default()),
        check_info::Type::Http => status.http = Some(Http::default()),
        check_info::Type::Tcp => status.tcp = Some(Tcp::default()),
        check_info::Type::Unknown => {}
    }
    status
}

/// What a health check does.
///
/// # Errors
/// The field of it that makes no sense or is not supported.
pub(crate) fn of_health(check: &HealthCheck) -> Result<Probe, Invalid> {
    let field = |name: &str| format!("health_check.{name}");
    match check.r#type() {
        health_check::Type::Unknown => Err(no_type(&field("type"))),
        health_check::Type::Command => execution(&field("command"), check.command.as_ref()),
        health_check::Type::Http => {
            let info = check.http.as_ref().ok_or_else(|| missing(&field("http")))?;
            let tls = match info.scheme() {
                "" | "http" => false,
                "https" => true,
                other => {
                    let problem = format!("is {other:?}, must be \"http\" or \"https\"");
                    return Err(Invalid::new(field("http.scheme"), problem));
                }
            };
            for (index, status) in info.statuses.iter().enumerate() {
                if !(100..600).contains(status) {
                    let field = field(&format!("http.statuses[{index}]"));
                    return Err(Invalid::new(field, format!("is {status}, must be 100 to 599")));
                }
            }
            let family = family(&field("http.protocol"), info.protocol)?;
            http(&field("http"), info.port, info.path(), tls, family)
        }
        health_check::Type::Tcp => {
            let info = check.tcp.as_ref().ok_or_else(|| missing(&field("tcp")))?;
            let family = family(&field("tcp.protocol"), info.protocol)?;
            Ok(Probe::Tcp { port: port(&field("tcp.port"), info.port)?, family })
        }
    }
}

/// What a check does.
///
/// # Errors
/// The field of it that makes no sense.
pub(crate) fn of_check(check: &CheckInfo) -> Result<Probe, Invalid> {
    match check.r#type() {
        check_info::Type::Unknown => Err(no_type("check.type")),
        check_info::Type::Command => {
            let info = check.command.as_ref().ok_or_else(|| missing("check.command"))?;
            execution("check.command.command", Some(&info.command))
        }
        check_info::Type::Http => {
            let info = check.http.as_ref().ok_or_else(|| missing("check.http"))?;
            http("check.http", info.port, info.path(), false, Family::V4)
        }
        check_info::Type::Tcp => {
            let info = check.tcp.as_ref().ok_or_else(|| missing("check.tcp"))?;
            Ok(Probe::Tcp { port: port("check.tcp.port", info.port)?, family: Family::V4 })
        }
    }
}

fn missing(field: &str) -> Invalid {
    Invalid::new(field, "is missing")
}

fn no_type(field: &str) -> Invalid {
    Invalid::new(field, "is missing or unknown, must be COMMAND, HTTP or TCP")
}

fn execution(field: &str, info: Option<&CommandInfo>) -> Result<Probe, Invalid> {
    let info = info.ok_or_else(|| missing(field))?;
    if !info.uris.is_empty() {
        let problem = "does not go with a check: it has the task's files";
        return Err(Invalid::new(format!("{field}.uris"), problem));
    }
    let command = command(field, info)?.ok_or_else(|| missing(&format!("{field}.value")))?;
    let variables = environment(field, info.environment.as_ref())?;
    Ok(Probe::Command(Execution {
        command,
        environment: variables.open,
        secrets: variables.secret,
        user: info.user.clone(),
    }))
}

fn http(field: &str, at: u32, path: &str, tls: bool, family: Family) -> Result<Probe, Invalid> {
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = format!("is {path:?}, must begin with / and hold no spaces");
        return Err(Invalid::new(format!("{field}.path"), problem));
    }
    let port = port(&format!("{field}.port"), at)?;
    Ok(Probe::Http { port, path: path.to_owned(), tls, family })
}

fn port(field: &str, port: u32) -> Result<u16, Invalid> {
    let valid = u16::try_from(port).ok().filter(|&port| port > 0);
    valid.ok_or_else(|| Invalid::new(field, format!("is {port}, must be 1 to 65535")))
}

fn family(field: &str, protocol: Option<i32>) -> Result<Family, Invalid> {
    match protocol.map(network_info::Protocol::try_from) {
        None | Some(Ok(network_info::Protocol::IPv4)) => Ok(Family::V4),
        Some(Ok(network_info::Protocol::IPv6)) => Ok(Family::V6),
        Some(Err(_)) => Err(Invalid::new(field, "is neither IPv4 nor IPv6")),
    }
}

#[cfg(test)]
mod tests;
