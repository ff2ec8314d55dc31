//! Applications.

use serde_json::{Map, Value, json};

use super::{container, statistics, task};
use crate::app::{
    App, AppId, Fetch, HealthCheck, Network, PortDefinition, Probe, ProbePort, ReadinessCheck,
    Spec, UnreachableStrategy,
};
use crate::instance::{Condition, Instance};
use crate::records::Failure;
use crate::request::Embed;
use crate::scheduler::Scheduler;

/// An application as it is defined: what `GET` shows and `PUT` takes.
pub(crate) fn definition(app: &App) -> Map<String, Value> {
    let mut map = spec(&app.spec);
    map.insert("id".into(), json!(app.id));
    map.insert("instances".into(), json!(app.instances));
    map.insert("version".into(), json!(app.version.to_string()));
    let info = json!({
        "lastScalingAt": app.last_scaling_at.to_string(),
        "lastConfigChangeAt": app.last_config_change_at.to_string(),
    });
    map.insert("versionInfo".into(), info);
    map
}

fn spec(spec: &Spec) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.into(), value));
    put("acceptedResourceRoles", json!(spec.accepted_resource_roles));
    if !spec.args.is_empty() {
        put("args", json!(spec.args));
    }
    put("backoffFactor", json!(spec.backoff.factor));
    put("backoffSeconds", json!(spec.backoff.seconds));
    if let Some(cmd) = &spec.cmd {
        put("cmd", json!(cmd));
    }
    if !spec.constraints.is_empty() {
        let constraint = |c: &crate::app::Constraint| {
            let mut parts = vec![c.field.as_str(), c.operator.as_str()];
            parts.extend(c.value.as_deref());
            json!(parts)
        };
        put("constraints", spec.constraints.iter().map(constraint).collect());
    }
    if let Some(container) = &spec.container {
        put("container", container::describe(container, spec));
    }
    put("cpus", json!(spec.cpus));
    put("disk", json!(spec.disk));
    if !spec.env.is_empty() {
        put("env", json!(spec.env));
    }
    put("executor", json!(""));
    if !spec.fetch.is_empty() {
        put("fetch", spec.fetch.iter().map(fetch).collect());
    }
    put("gpus", json!(0));
    if !spec.health_checks.is_empty() {
        put("healthChecks", spec.health_checks.iter().map(health_check).collect());
    }
    put("killSelection", json!(spec.kill_selection.as_str()));
    put("labels", json!(spec.labels));
    put("maxLaunchDelaySeconds", json!(spec.backoff.max_seconds));
    put("mem", json!(spec.mem));
    put("networks", container::networks(&spec.network));
    if spec.network == Network::Host {
        put("portDefinitions", spec.ports.iter().map(port_definition).collect());
    }
    if !spec.readiness_checks.is_empty() {
        put("readinessChecks", spec.readiness_checks.iter().map(readiness_check).collect());
    }
    put("requirePorts", json!(spec.require_ports));
    put("role", json!(spec.role));
    if let Some(seconds) = spec.task_kill_grace_period_seconds {
        put("taskKillGracePeriodSeconds", json!(seconds));
    }
    if spec.tty {
        put("tty", json!(true));
    }
    let unreachable = match spec.unreachable_strategy {
        UnreachableStrategy::Disabled => json!("disabled"),
        strategy @ UnreachableStrategy::Enabled { .. } => json!(strategy)["enabled"].take(),
    };
    put("unreachableStrategy", unreachable);
    put("upgradeStrategy", json!(spec.upgrade_strategy));
    if let Some(user) = &spec.user {
        put("user", json!(user));
    }
    map
}

fn fetch(fetch: &Fetch) -> Value {
    let mut value = json!({
        "uri": fetch.uri,
        "extract": fetch.extract,
        "executable": fetch.executable,
        "cache": fetch.cache,
    });
    if let Some(path) = &fetch.dest_path {
        value["destPath"] = json!(path);
    }
    value
}

fn port_definition(port: &PortDefinition) -> Value {
    let mut value = json!({
        "port": port.port,
        "protocol": port.protocol.as_str(),
        "labels": port.labels,
    });
    if let Some(name) = &port.name {
        value["name"] = json!(name);
    }
    value
}

fn health_check(check: &HealthCheck) -> Value {
    let mut value = json!({
        "protocol": check.protocol(),
        "gracePeriodSeconds": check.grace_period_seconds,
        "intervalSeconds": check.interval_seconds,
        "timeoutSeconds": check.timeout_seconds,
        "delaySeconds": check.delay_seconds,
        "maxConsecutiveFailures": check.max_consecutive_failures,
    });
    let port = match &check.probe {
        Probe::Http { path, port, .. } => {
            value["path"] = json!(path);
            Some(*port)
        }
        Probe::Tcp { port } => Some(*port),
        Probe::Command { value: command } => {
            value["command"] = json!({ "value": command });
            None
        }
    };
    match port {
        Some(ProbePort::Index(index)) => value["portIndex"] = json!(index),
        Some(ProbePort::Number(number)) => value["port"] = json!(number),
        None => {}
    }
    if port.is_some() {
        value["ipProtocol"] = json!(if check.ipv6 { "IPv6" } else { "IPv4" });
    }
    value
}

fn readiness_check(check: &ReadinessCheck) -> Value {
    json!({
        "name": check.name,
        "protocol": check.protocol(),
        "path": check.path,
        "portName": check.port_name,
        "intervalSeconds": check.interval_seconds,
        "timeoutSeconds": check.timeout_seconds,
        "httpStatusCodesForReady": check.http_status_codes_for_ready,
        "preserveLastResponse": check.preserve_last_response,
    })
}

/// How many of an application's tasks are in which state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) staged: usize,
    pub(crate) running: usize,
    pub(crate) healthy: usize,
    pub(crate) unhealthy: usize,
}

impl Counts {
    /// The counts of `instances`.
    pub(crate) fn of<'a>(instances: impl Iterator<Item = &'a Instance>) -> Self {
        let mut counts = Self::default();
        for instance in instances {
            match instance.condition {
                Condition::Staging | Condition::Starting => counts.staged += 1,
                Condition::Running => counts.running += 1,
                Condition::Killing | Condition::Unreachable => {}
            }
            if instance.condition == Condition::Running {
                match instance.health.healthy {
                    Some(true) => counts.healthy += 1,
                    Some(false) => counts.unhealthy += 1,
                    None => {}
                }
            }
        }
        counts
    }
}

/// An application with what `embed` asks for.
pub(crate) fn describe(scheduler: &Scheduler, app: &App, embed: Embed) -> Value {
    let mut map = definition(app);
    if embed.counts {
        let counts = Counts::of(scheduler.fleet.of(&app.id));
        map.insert("tasksStaged".into(), json!(counts.staged));
        map.insert("tasksRunning".into(), json!(counts.running));
        map.insert("tasksHealthy".into(), json!(counts.healthy));
        map.insert("tasksUnhealthy".into(), json!(counts.unhealthy));
    }
    if embed.deployments {
        map.insert("deployments".into(), deployments(scheduler, &app.id));
    }
    if embed.tasks {
        let tasks = scheduler.fleet.of(&app.id).map(|i| task::describe(i, app));
        map.insert("tasks".into(), tasks.collect());
    }
    if embed.last_task_failure
        && let Some(failure) = scheduler.failures.get(&app.id)
    {
        map.insert("lastTaskFailure".into(), self::failure(failure));
    }
    if embed.readiness {
        map.insert("readinessCheckResults".into(), scheduler.readiness_results(&app.id));
    }
    if embed.task_stats {
        let instances: Vec<_> = scheduler.fleet.of(&app.id).collect();
        map.insert("taskStats".into(), statistics::by_version(app, &instances, scheduler.now));
    }
    Value::Object(map)
}

/// The deployments that affect `id`.
fn deployments(scheduler: &Scheduler, id: &AppId) -> Value {
    let affecting = scheduler.deployments.values().filter(|d| d.original.contains_key(id));
    affecting.map(|deployment| json!({ "id": deployment.id })).collect()
}

fn failure(failure: &Failure) -> Value {
    json!({
        "appId": failure.app_id,
        "host": failure.host,
        "message": failure.message,
        "state": failure.state,
        "taskId": failure.task_id,
        "timestamp": failure.timestamp.to_string(),
        "version": failure.version.to_string(),
        "slaveId": failure.slave_id,
    })
}
