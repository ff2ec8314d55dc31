//! What a health check does.

use muster_api::mesos::{HealthCheck, health_check, network_info};
use muster_containerizer::CommandSpec;

use super::command::command;
use super::spec::Invalid;

/// One way to check a container's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Healthy if the command exits with 0 inside the container.
    Command(CommandSpec),
    /// Healthy if a GET is answered with a good status.
    Http {
        /// Port on the machine, 1 to 65535.
        port: u16,
        /// What to get.
        path: String,
        /// Good statuses; 200 to 399 when none is named.
        statuses: Vec<u32>,
        /// Address family to connect over.
        family: Family,
    },
    /// Healthy if a connection is accepted.
    Tcp {
        /// Port on the machine, 1 to 65535.
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

/// What `check` does.
///
/// # Errors
/// The field of it that makes no sense or is not supported.
pub(crate) fn probe(check: &HealthCheck) -> Result<Probe, Invalid> {
    let missing = |field: &'static str| Invalid::new(field, "is missing");
    match check.r#type() {
        health_check::Type::Unknown => Err(Invalid::new(
            "health_check.type",
            "is missing or unknown, must be COMMAND, HTTP or TCP",
        )),
        health_check::Type::Command => {
            let info = check.command.as_ref().ok_or_else(|| missing("health_check.command"))?;
            if info.environment.as_ref().is_some_and(|e| !e.variables.is_empty()) {
                let field = "health_check.command.environment";
                return Err(Invalid::new(field, "is not supported: a check has the task's own"));
            }
            if info.user.is_some() {
                let field = "health_check.command.user";
                return Err(Invalid::new(field, "is not supported: a check runs as the task does"));
            }
            let spec = command("health_check.command", info)?;
            Ok(Probe::Command(spec.ok_or_else(|| missing("health_check.command.value"))?))
        }
        health_check::Type::Http => {
            let http = check.http.as_ref().ok_or_else(|| missing("health_check.http"))?;
            if !http.scheme().is_empty() && http.scheme() != "http" {
                let problem = format!("is {:?}, only \"http\" is supported", http.scheme());
                return Err(Invalid::new("health_check.http.scheme", problem));
            }
            let path = if http.path().is_empty() { "/" } else { http.path() };
            let plain = |byte: u8| byte.is_ascii_graphic();
            if !path.starts_with('/') || !path.bytes().all(plain) {
                let problem = format!("is {path:?}, must begin with / and hold no spaces");
                return Err(Invalid::new("health_check.http.path", problem));
            }
            Ok(Probe::Http {
                port: port("health_check.http.port", http.port)?,
                path: path.to_owned(),
                statuses: http.statuses.clone(),
                family: family(http.protocol()),
            })
        }
        health_check::Type::Tcp => {
            let tcp = check.tcp.as_ref().ok_or_else(|| missing("health_check.tcp"))?;
            Ok(Probe::Tcp {
                port: port("health_check.tcp.port", tcp.port)?,
                family: family(tcp.protocol()),
            })
        }
    }
}

fn port(field: &'static str, port: u32) -> Result<u16, Invalid> {
    let valid = u16::try_from(port).ok().filter(|&port| port > 0);
    valid.ok_or_else(|| Invalid::new(field, format!("is {port}, must be 1 to 65535")))
}

fn family(protocol: network_info::Protocol) -> Family {
    match protocol {
        network_info::Protocol::IPv4 => Family::V4,
        network_info::Protocol::IPv6 => Family::V6,
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::environment::Variable;
    use muster_api::mesos::health_check::{HttpCheckInfo, TcpCheckInfo};
    use muster_api::mesos::{CommandInfo, Environment};

    use super::*;

    fn tcp() -> HealthCheck {
        HealthCheck {
            r#type: Some(health_check::Type::Tcp.into()),
            tcp: Some(TcpCheckInfo { port: 31000, protocol: None }),
            ..Default::default()
        }
    }

    #[test]
    fn probes_are_read_from_the_check() {
        let http = HttpCheckInfo { port: 80, statuses: vec![204], ..Default::default() };
        let check = HealthCheck {
            r#type: Some(health_check::Type::Http.into()),
            http: Some(http),
            ..Default::default()
        };
        let path = "/".to_owned();
        let expected = Probe::Http { port: 80, path, statuses: vec![204], family: Family::V4 };
        assert_eq!(probe(&check).unwrap(), expected);
        let command = CommandInfo { value: Some("true".into()), ..Default::default() };
        let check = HealthCheck {
            r#type: Some(health_check::Type::Command.into()),
            command: Some(command),
            ..Default::default()
        };
        let expected = Probe::Command(CommandSpec::Shell("true".into()));
        assert_eq!(probe(&check).unwrap(), expected);
    }

    #[test]
    fn impossible_checks_are_refused_with_the_field() {
        let http = |http| HealthCheck {
            r#type: Some(health_check::Type::Http.into()),
            http: Some(http),
            ..Default::default()
        };
        let scheme = |scheme: &str| HttpCheckInfo {
            port: 80,
            scheme: Some(scheme.into()),
            ..Default::default()
        };
        let path =
            |path: &str| HttpCheckInfo { port: 80, path: Some(path.into()), ..Default::default() };
        let command = |command| HealthCheck {
            r#type: Some(health_check::Type::Command.into()),
            command: Some(command),
            ..Default::default()
        };
        let cases = [
            (HealthCheck::default(), "health_check.type is missing"),
            (HealthCheck { tcp: None, ..tcp() }, "health_check.tcp is missing"),
            (
                HealthCheck { tcp: Some(TcpCheckInfo { port: 0, protocol: None }), ..tcp() },
                "health_check.tcp.port is 0, must be 1 to 65535",
            ),
            (
                http(HttpCheckInfo { port: 65536, ..Default::default() }),
                "health_check.http.port is 65536",
            ),
            (http(scheme("https")), "health_check.http.scheme is \"https\""),
            (http(path("no-slash")), "health_check.http.path is \"no-slash\""),
            (http(path("/a b\r\n")), "health_check.http.path"),
            (command(CommandInfo::default()), "health_check.command.value is missing"),
            (
                command(CommandInfo { shell: Some(false), ..Default::default() }),
                "health_check.command.value is missing",
            ),
            (
                command(CommandInfo {
                    value: Some("true".into()),
                    user: Some("nobody".into()),
                    ..Default::default()
                }),
                "health_check.command.user is not supported",
            ),
            (
                command(CommandInfo {
                    value: Some("true".into()),
                    environment: Some(Environment { variables: vec![Variable::default()] }),
                    ..Default::default()
                }),
                "health_check.command.environment is not supported",
            ),
        ];
        for (check, expected) in cases {
            let problem = probe(&check).unwrap_err().to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
