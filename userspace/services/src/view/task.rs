//! Tasks.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::app::App;
use crate::instance::{Health, Instance};
use crate::timestamp::Timestamp;

/// The task of `instance`, an instance of `app`.
pub(crate) fn describe(instance: &Instance, app: &App) -> Value {
    let addresses = instance.ip_addresses.iter().map(|address| {
        let protocol = if address.contains(':') { "IPv6" } else { "IPv4" };
        json!({ "ipAddress": address, "protocol": protocol })
    });
    let mut value = json!({
        "appId": instance.id.app(),
        "host": instance.agent.host,
        "id": instance.id.task_id(),
        "ipAddresses": addresses.collect::<Vec<_>>(),
        "ports": instance.host_ports.iter().filter(|port| **port != 0).collect::<Vec<_>>(),
        "servicePorts": app.spec.ports.iter().map(|port| port.port).collect::<Vec<_>>(),
        "slaveId": instance.agent.id,
        "state": instance.condition.as_mesos().as_str_name(),
        "stagedAt": instance.staged_at.to_string(),
        "version": instance.version.to_string(),
        "localVolumes": [],
        "role": app.spec.role,
    });
    let mut put = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            value[name] = text.into();
        }
    };
    put("startedAt", instance.started_at.map(|at| at.to_string()));
    put("region", instance.agent.region.clone());
    put("zone", instance.agent.zone.clone());
    if instance.health.healthy.is_some() {
        value["healthCheckResults"] = json!([health(&instance.health, &instance.id.to_string())]);
    }
    value
}

fn health(health: &Health, instance: &str) -> Value {
    let mut value = json!({
        "alive": health.healthy == Some(true),
        "consecutiveFailures": health.consecutive_failures,
        "instanceId": instance,
    });
    let moments = [
        ("firstSuccess", health.first_success),
        ("lastSuccess", health.last_success),
        ("lastFailure", health.last_failure),
    ];
    for (name, moment) in moments {
        if let Some(moment) = moment {
            value[name] = moment.to_string().into();
        }
    }
    if let Some(cause) = &health.last_failure_cause {
        value["lastFailureCause"] = json!(cause);
    }
    value
}

/// The table that load balancers read: for each service port of each application a line
/// with its id, the port, and where its running tasks are, separated by tabs.
pub(crate) fn table<'a>(apps: impl Iterator<Item = (&'a App, Vec<&'a Instance>)>) -> String {
    let mut table = String::new();
    for (app, instances) in apps {
        let name = app.id.safe();
        let running: Vec<_> = instances.into_iter().filter(|i| i.is_up()).collect();
        for (index, port) in app.spec.ports.iter().enumerate() {
            let places = running.iter().filter_map(|instance| {
                let number = instance.host_ports.get(index).filter(|port| **port != 0)?;
                Some(format!("{}:{number}", instance.agent.host))
            });
            let places = places.collect::<Vec<_>>().join("\t");
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{name}\t{}\t{places}", port.port);
        }
        if app.spec.ports.is_empty() {
            let places: Vec<_> = running.iter().map(|i| i.agent.host.as_str()).collect();
            let _ = writeln!(table, "{name}\t \t{}", places.join("\t"));
        }
    }
    table
}

/// The later of two moments, where there is one.
pub(crate) fn since(instance: &Instance) -> Timestamp {
    instance.started_at.unwrap_or(instance.staged_at)
}
