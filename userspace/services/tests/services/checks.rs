//! Checks as they are defined.

use muster_services::app::{Probe, ReadinessCheck};
use muster_services::definition::read;
use serde_json::{Value, json};

use super::definitions::{app, refused};

/// An application's fields with this readiness check, and a port for it.
fn readiness(check: Value) -> Value {
    json!({"portDefinitions": [{"name": "http-api"}], "readinessChecks": [check]})
}

#[test]
fn checks_come_back_as_they_were_given() {
    for (given, tls, limit) in [
        (json!({"protocol": "MESOS_HTTPS", "path": "/a", "portIndex": 0}), true, 3),
        (json!({"protocol": "HTTPS", "path": "/a", "portIndex": 0}), true, 3),
        (json!({"protocol": "HTTP", "maxConsecutiveFailures": 0}), false, u32::MAX),
        (json!({"protocol": "MESOS_HTTP", "maxConsecutiveFailures": 0}), false, 1),
    ] {
        let spec = read(&app(json!({"healthChecks": [given]})), "*").unwrap().spec;
        let check = &spec.health_checks[0];
        assert_eq!(check.protocol(), given["protocol"]);
        assert!(matches!(check.probe, Probe::Http { tls: is, .. } if is == tls), "{given}");
        assert_eq!(check.limit(), limit, "{given}");
    }
    let check = json!({"protocol": "TCP", "ipProtocol": "IPv6"});
    let spec = read(&app(json!({"healthChecks": [check]})), "*").unwrap().spec;
    assert!(spec.health_checks[0].ipv6 && spec.health_checks[0].by_marathon);
    let spec = read(&app(readiness(json!({"path": "x"}))), "*").unwrap().spec;
    let expected = ReadinessCheck {
        name: "readinessCheck".into(),
        tls: false,
        path: "/x".into(),
        port_name: "http-api".into(),
        interval_seconds: 30,
        timeout_seconds: 10,
        http_status_codes_for_ready: vec![200],
        preserve_last_response: false,
    };
    assert_eq!(spec.readiness_checks, [expected]);
}

#[test]
fn readiness_checks_that_make_no_sense_are_refused_by_path() {
    for (fields, path) in [
        (readiness(json!({"portName": "none"})), "/readinessChecks(0)/portName"),
        (readiness(json!({"timeoutSeconds": 30})), "/readinessChecks(0)/timeoutSeconds"),
        (readiness(json!({"intervalSeconds": 0})), "/readinessChecks(0)/intervalSeconds"),
        (readiness(json!({"protocol": "TCP"})), "/readinessChecks(0)/protocol"),
        (
            readiness(json!({"httpStatusCodesForReady": []})),
            "/readinessChecks(0)/httpStatusCodesForReady",
        ),
        (
            readiness(json!({"httpStatusCodesForReady": [200, 7]})),
            "/readinessChecks(0)/httpStatusCodesForReady(1)",
        ),
        (readiness(json!({"surprise": 1})), "/readinessChecks(0)/surprise"),
        (
            json!({"portDefinitions": [{"name": "http-api"}], "readinessChecks": [{}, {}]}),
            "/readinessChecks",
        ),
    ] {
        assert_eq!(refused(app(fields.clone())), [path], "{fields}");
    }
}
