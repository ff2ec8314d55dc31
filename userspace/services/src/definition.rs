//! Definitions: applications as users write them, old forms included, read into the one
//! form used here. What is not supported yet is refused by name unless it is given its
//! default; what is unknown is refused too. Nothing is ignored but what `GET` adds, so
//! that an application can be fetched, edited and sent back.

mod command;
mod constraint;
mod container;
mod fetch;
mod health;
mod network;
mod ports;
mod readiness;
mod strategy;
mod unsupported;
mod update;
mod vip;
mod volumes;

use serde_json::Value;

pub use update::merge;

use crate::app::{AppId, HostPort, Spec};
use crate::reader::{Field, Object, Problems};

/// Larger amounts are surely mistakes, and smaller ones are exact in thousandths.
const MOST: f64 = 1e12;

/// What one document defines.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The application's id.
    pub id: AppId,
    /// How many instances there should be.
    pub instances: u32,
    /// What they are made from.
    pub spec: Spec,
}

/// Reads a whole definition; `role` is the framework's.
///
/// # Errors
/// Every mistake in it, each with its path.
pub fn read(document: &Value, role: &str) -> Result<Definition, Problems> {
    read_at(document, "", role)
}

/// As [`read`], for a document that is at `path` in a larger one.
///
/// # Errors
/// As those of [`read`].
pub fn read_at(document: &Value, path: &str, role: &str) -> Result<Definition, Problems> {
    let problems = Problems::default();
    let definition = Field::at(document, path.to_owned(), &problems)
        .object()
        .and_then(|mut object| {
            let definition = read_fields(&mut object, role);
            object.finish();
            definition
        })
        .filter(|_| problems.is_empty());
    definition.ok_or(problems)
}

fn read_fields(object: &mut Object<'_>, role: &str) -> Option<Definition> {
    unsupported::read(object);
    let id = read_id(object);
    let most = i32::MAX.unsigned_abs();
    let instances = object.field("instances").map_or(Some(1), |field| field.integer(0, most));
    let amount = |object: &mut Object<'_>, name, min, default| {
        object.field(name).map_or(Some(default), |field| field.number(min, MOST))
    };
    let cpus = amount(object, "cpus", 0.001, 1.0);
    let mem = amount(object, "mem", 0.0, 128.0);
    let disk = amount(object, "disk", 0.0, 0.0);
    let labels = command::strings(object, "labels");
    let env = command::env(object);
    let fetch = fetch::read(object);
    let user = object.field("user").and_then(|user| command::text(&user));
    let tty = object.field("tty").map_or(Some(false), |field| field.boolean());
    let mut container = container::read(object);
    let command = command::read(object, container.is_some());
    let engine = container.as_ref().is_some_and(|c| c.container.engine.is_some());
    let network = network::read(object, container.as_ref().and_then(|c| c.network), engine);
    let mappings = container.as_mut().and_then(|c| c.mappings.take());
    let ports = ports::read(object, network.as_ref(), mappings);
    if let (Some((ports, require)), Some(labels)) =
        (&ports, object.field("labels").and_then(|field| field.object()))
    {
        let host_ports = ports.iter().filter(|port| port.host_port(*require) != HostPort::None);
        vip::check_of_app(&labels, host_ports.count());
    }
    if engine && tty == Some(true) {
        object.refuse("tty", "does not go with container.type DOCKER: leave it out");
    }
    let port_count = ports.as_ref().map_or(0, |(ports, _)| ports.len());
    let health_checks = health::read(object, port_count);
    let readiness_checks = readiness::read(object, ports.as_ref().map_or(&[], |(p, _)| p));
    let constraints = constraint::read(object);
    let backoff = strategy::backoff(object);
    let upgrade_strategy = strategy::upgrade(object);
    let unreachable_strategy = strategy::unreachable(object);
    let kill_selection = strategy::kill_selection(object);
    let grace = object.field("taskKillGracePeriodSeconds");
    let grace = grace.map(|field| field.integer(0, most));
    let accepted_resource_roles = read_roles(object, role);
    let instances = instances?;
    let (cmd, args) = command?;
    let (ports, require_ports) = ports?;
    let spec = Spec {
        cmd,
        args,
        user,
        fetch: fetch?,
        env: env?,
        labels: labels?,
        cpus: cpus?,
        mem: mem?,
        disk: disk?,
        container: container.map(|c| c.container),
        network: network?,
        tty: tty?,
        ports,
        require_ports,
        constraints: constraints?,
        accepted_resource_roles: accepted_resource_roles?,
        health_checks: health_checks?,
        readiness_checks: readiness_checks?,
        backoff: backoff?,
        upgrade_strategy: upgrade_strategy?,
        unreachable_strategy: unreachable_strategy?,
        kill_selection: kill_selection?,
        task_kill_grace_period_seconds: grace.flatten(),
        role: role.to_owned(),
    };
    strategy::check_single_instance(object, &spec, instances);
    Some(Definition { id: id?, instances, spec })
}

fn read_id(object: &mut Object<'_>) -> Option<AppId> {
    let Some(field) = object.field("id") else {
        object.refuse("id", "is missing; give the application's path, as in \"/nginx\"");
        return None;
    };
    match AppId::parse(field.string()?) {
        Ok(id) => Some(id),
        Err(errors) => {
            for error in errors {
                field.refuse(error);
            }
            None
        }
    }
}

/// The roles whose resources may be used; checks `role` on the way.
fn read_roles(object: &mut Object<'_>, role: &str) -> Option<Vec<String>> {
    if let Some(field) = object.field("role")
        && let Some(given) = field.string()
        && given != role
    {
        field.refuse(format!("is not supported yet: must be '{role}', the framework's role"));
    }
    let mut default = vec!["*".to_owned()];
    if role != "*" {
        default.push(role.to_owned());
    }
    let Some(field) = object.field("acceptedResourceRoles") else { return Some(default) };
    let mut roles = Vec::new();
    let elements = field.array()?;
    if elements.is_empty() {
        field.refuse("must not be empty; leave it out to accept any role");
    }
    for element in elements {
        let Some(accepted) = element.string() else { continue };
        if !default.iter().any(|known| known == accepted) {
            let known = default.join("' or '");
            element.refuse(format!("must be '{known}': no other role is ever offered"));
        } else if roles.iter().any(|known| known == accepted) {
            element.refuse("is there twice");
        }
        roles.push(accepted.to_owned());
    }
    Some(roles)
}
