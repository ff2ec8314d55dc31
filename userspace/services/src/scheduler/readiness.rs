//! Readiness checks: made until they succeed once, and what they have found.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Check, Scheduler, Timer};
use crate::app::{AppId, ReadinessCheck};
use crate::instance::{Condition, Instance, InstanceId};
use crate::records::Changes as _;

/// The answer to a readiness check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it says its body is.
    pub content_type: String,
    /// Its beginning, if it was wanted.
    pub body: String,
}

/// What the readiness checks of an instance have found. It is not on record: after a restart
/// only who was ready is known.
#[derive(Clone, Debug)]
pub struct Readiness {
    name: String,
    ready: bool,
    last: Option<Answer>,
}

impl Scheduler {
    /// Makes the check of an instance that is due, if it still is to be made.
    pub(super) fn check_readiness(&mut self, id: &InstanceId) {
        let Some((instance, check)) = self.unready(id) else { return };
        let Some((host, port)) = self.place(instance, check) else { return };
        let url = url(check, host, port);
        let check = Check {
            instance: id.clone(),
            url,
            timeout: Duration::from_secs(check.timeout_seconds.into()),
            whole: check.preserve_last_response,
        };
        self.effects.check(check);
    }

    /// Takes in what a check has found.
    pub(super) fn checked(&mut self, id: &InstanceId, result: Result<Answer, String>) {
        let Some((instance, check)) = self.unready(id) else { return };
        let ready =
            result.as_ref().is_ok_and(|a| check.http_status_codes_for_ready.contains(&a.status));
        // Marathon shows it so.
        let last = result.unwrap_or_else(|reason| Answer {
            status: 504,
            content_type: "text/plain".to_owned(),
            body: format!("{} could not be asked: {reason}", instance.id.task_id()),
        });
        let readiness = Readiness {
            name: check.name.clone(),
            ready,
            last: check.preserve_last_response.then_some(last),
        };
        let again = self.now.plus(Duration::from_secs(check.interval_seconds.into()));
        self.readiness.insert(id.clone(), readiness);
        if !ready {
            self.timers.set(again, Timer::Readiness(id.clone()));
            return;
        }
        if let Some(instance) = self.fleet.get_mut(id) {
            instance.ready = Some(true);
            let instance = instance.clone();
            self.changes().put_instance(&instance);
            self.dirty.insert(id.app().clone());
        }
    }

    /// An instance that runs and has not shown to be ready, and how it can.
    fn unready(&self, id: &InstanceId) -> Option<(&Instance, &ReadinessCheck)> {
        let instance = self.fleet.get(id)?;
        let runs = instance.condition == Condition::Running && instance.is_wanted();
        if !runs || instance.ready != Some(false) {
            return None;
        }
        let versions = self.apps.get(id.app())?;
        let app = versions.all.get(&instance.version)?;
        Some((instance, app.spec.readiness_checks.first()?))
    }

    /// Where an instance is asked: at its host port.
    fn place<'a>(&self, instance: &'a Instance, check: &ReadinessCheck) -> Option<(&'a str, u16)> {
        let app = self.apps.get(instance.id.app())?.all.get(&instance.version)?;
        let named =
            |port: &crate::app::PortDefinition| port.name.as_ref() == Some(&check.port_name);
        let index = app.spec.ports.iter().position(named)?;
        let port = instance.host_ports.get(index).copied().filter(|port| *port != 0)?;
        // The instance's own addresses may be those of a container, where only its own ports are.
        Some((instance.agent.address.as_ref().unwrap_or(&instance.agent.host), port))
    }

    /// `readinessCheckResults` of an application.
    pub(crate) fn readiness_results(&self, app: &AppId) -> Value {
        let checked = self.fleet.of(app).filter_map(|i| Some((i, self.readiness.get(&i.id)?)));
        let results = checked.map(|(instance, readiness)| {
            let mut value = json!({
                "name": readiness.name,
                "taskId": instance.id.task_id(),
                "ready": readiness.ready,
            });
            if let Some(last) = &readiness.last {
                value["lastResponse"] = json!({
                    "status": last.status,
                    "contentType": last.content_type,
                    "body": last.body,
                });
            }
            value
        });
        results.collect()
    }
}

fn url(check: &ReadinessCheck, host: &str, port: u16) -> String {
    let scheme = if check.tls { "https" } else { "http" };
    let host = match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    format!("{scheme}://{host}:{port}{}", check.path)
}
