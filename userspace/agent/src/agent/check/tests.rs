use muster_api::mesos::Environment;
use muster_api::mesos::environment::Variable;
use muster_api::mesos::health_check::{HttpCheckInfo, TcpCheckInfo};
use muster_containerizer::{CommandSpec, Secret};

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
    let expected = Probe::Http { port: 80, path, tls: false, family: Family::V4 };
    assert_eq!(of_health(&check).unwrap(), expected);
    let command = CommandInfo { value: Some("true".into()), ..Default::default() };
    let check = HealthCheck {
        r#type: Some(health_check::Type::Command.into()),
        command: Some(command),
        ..Default::default()
    };
    let expected = Probe::Command(CommandSpec::Shell("true".into()).into());
    assert_eq!(of_health(&check).unwrap(), expected);
    let http = check_info::Http { port: 81, path: Some("/x".into()) };
    let check = CheckInfo {
        r#type: Some(check_info::Type::Http.into()),
        http: Some(http),
        ..CheckInfo::default()
    };
    let (path, tls, family) = ("/x".to_owned(), false, Family::V4);
    assert_eq!(of_check(&check).unwrap(), Probe::Http { port: 81, path, tls, family });
    let check = CheckInfo {
        r#type: Some(check_info::Type::Tcp.into()),
        tcp: Some(check_info::Tcp { port: 82 }),
        ..CheckInfo::default()
    };
    assert_eq!(of_check(&check).unwrap(), Probe::Tcp { port: 82, family: Family::V4 });
}

#[test]
fn a_command_has_variables_and_a_user_of_its_own() {
    let variable = |name: &str, value: Option<&str>, secret| Variable {
        name: name.into(),
        value: value.map(Into::into),
        secret,
        ..Variable::default()
    };
    let secret = muster_api::mesos::Secret {
        r#type: Some(muster_api::mesos::secret::Type::Value.into()),
        value: Some(muster_api::mesos::secret::Value { data: b"s".to_vec() }),
        reference: None,
    };
    let hidden = Variable {
        r#type: Some(muster_api::mesos::environment::variable::Type::Secret.into()),
        ..variable("B", None, Some(secret))
    };
    let command = CommandInfo {
        value: Some("/bin/test".into()),
        shell: Some(false),
        arguments: vec!["test".into(), "-e".into(), "x".into()],
        user: Some("nobody".into()),
        environment: Some(Environment { variables: vec![variable("A", Some("1"), None), hidden] }),
        ..CommandInfo::default()
    };
    let check = CheckInfo {
        r#type: Some(check_info::Type::Command.into()),
        command: Some(check_info::Command { command }),
        ..CheckInfo::default()
    };
    let argv = ["/bin/test", "-e", "x"].map(Into::into).into();
    let expected = Execution {
        command: CommandSpec::Argv(argv),
        environment: vec![("A".into(), "1".into())],
        secrets: vec![("B".into(), Secret::new("s".into()))],
        user: Some("nobody".into()),
    };
    assert_eq!(of_check(&check).unwrap(), Probe::Command(expected));
}

#[test]
fn findings_are_healthy_or_say_why_not() {
    let status = |status, named: &[u32]| Finding::Status(status).problem(named);
    for good in [200, 204, 302, 399] {
        assert_eq!(status(good, &[]), None, "{good}");
    }
    for bad in [100, 199, 400, 503] {
        assert_eq!(status(bad, &[]), Some(format!("the answer has the status {bad}")));
    }
    assert_eq!(status(404, &[404, 410]), None);
    assert_eq!(status(200, &[404]).as_deref(), Some("the answer has the status 200"));
    assert_eq!(Finding::Exit(0).problem(&[]), None);
    let problem = |code| Finding::Exit(code).problem(&[]).unwrap();
    assert_eq!(problem(3), "the command exited with status 3");
    assert_eq!(problem(137), "the command was killed by signal 9");
    let refused = Finding::Connection(Err("refused".into()));
    assert_eq!(refused.problem(&[]).as_deref(), Some("refused"));
    assert_eq!(refused.status().tcp.unwrap().succeeded, Some(false));
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
        (http(scheme("ftp")), "health_check.http.scheme is \"ftp\", must be"),
        (
            http(HttpCheckInfo { port: 80, statuses: vec![200, 20], ..Default::default() }),
            "health_check.http.statuses[1] is 20, must be 100 to 599",
        ),
        (
            http(HttpCheckInfo { port: 80, protocol: Some(7), ..Default::default() }),
            "health_check.http.protocol is neither IPv4 nor IPv6",
        ),
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
                uris: vec![muster_api::mesos::command_info::Uri::default()],
                ..Default::default()
            }),
            "health_check.command.uris does not go with a check",
        ),
        (
            command(CommandInfo {
                value: Some("true".into()),
                environment: Some(Environment { variables: vec![Variable::default()] }),
                ..Default::default()
            }),
            "health_check.command.environment.variables[\"\"] has no value",
        ),
    ];
    for (check, expected) in cases {
        let problem = of_health(&check).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
    let check =
        |kind: check_info::Type| CheckInfo { r#type: Some(kind.into()), ..CheckInfo::default() };
    let cases = [
        (CheckInfo::default(), "check.type is missing or unknown"),
        (check(check_info::Type::Command), "check.command is missing"),
        (
            CheckInfo {
                command: Some(check_info::Command { command: CommandInfo::default() }),
                ..check(check_info::Type::Command)
            },
            "check.command.command.value is missing",
        ),
        (
            CheckInfo {
                http: Some(check_info::Http { port: 1, path: Some("x".into()) }),
                ..check(check_info::Type::Http)
            },
            "check.http.path is \"x\"",
        ),
        (
            CheckInfo {
                tcp: Some(check_info::Tcp { port: 70_000 }),
                ..check(check_info::Type::Tcp)
            },
            "check.tcp.port is 70000",
        ),
    ];
    for (check, expected) in cases {
        let problem = of_check(&check).unwrap_err().to_string();
        assert!(problem.starts_with(expected), "{problem}");
    }
}
