//! `/state`: the agent with its frameworks, executors and tasks, in Mesos' shape.

use std::collections::BTreeMap;

use muster_api::TaskStateExt;
use muster_resources::Resources;
use serde_json::{Value, json};

use super::{Look, shapes};
use crate::{Agent, Task};

pub(super) fn state(agent: &Agent, look: &Look) -> Value {
    let settings = agent.settings();
    let total = settings.resources.to_proto();
    let endpoint = std::net::SocketAddr::new(settings.address, settings.port);
    let mut tasks: BTreeMap<&str, Executors<'_>> = BTreeMap::new();
    for task in agent.tasks() {
        let executors = tasks.entry(&task.framework_id().value).or_default();
        let over = task.status().state().is_terminal();
        if over { executors.ended.push(task) } else { executors.live.push(task) }
    }
    let mut past: BTreeMap<&str, Executors<'_>> = BTreeMap::new();
    for task in agent.completed() {
        let id = task.framework_id().value.as_str();
        tasks.get_mut(id).unwrap_or_else(|| past.entry(id).or_default()).ended.push(task);
    }
    let frameworks = |frameworks: BTreeMap<&str, Executors<'_>>| -> Vec<Value> {
        let show = |(id, executors): (&str, Executors<'_>)| executors.framework(id, agent);
        frameworks.into_iter().map(show).collect()
    };
    json!({
        "version": settings.version,
        "start_time": look.clock.started().as_secs_f64(),
        "id": agent.id().unwrap_or_default(),
        "pid": format!("slave(1)@{endpoint}"),
        "hostname": settings.hostname,
        "resources": shapes::resources(&total),
        "reserved_resources": reserved(&settings.resources),
        "unreserved_resources": shapes::resources(&unreserved(&settings.resources)),
        "attributes": shapes::attributes(&settings.attributes),
        "master_hostname": *look.master,
        "registered": agent.registered(),
        "flags": *look.flags,
        "frameworks": frameworks(tasks),
        "completed_frameworks": frameworks(past),
    })
}

/// The executors of one framework: as in Mesos, one for each task.
#[derive(Default)]
struct Executors<'a> {
    live: Vec<&'a Task>,
    ended: Vec<&'a Task>,
}

impl Executors<'_> {
    fn framework(&self, id: &str, agent: &Agent) -> Value {
        let show = |tasks: &[&Task]| -> Vec<Value> {
            tasks.iter().map(|task| executor(task, agent)).collect()
        };
        json!({
            "id": id,
            "executors": show(&self.live),
            "completed_executors": show(&self.ended),
        })
    }
}

/// The executor that runs one task, in Mesos' terms.
fn executor(task: &Task, agent: &Agent) -> Value {
    let id = &task.info().task_id.value;
    let shown = show_task(task);
    let over = task.status().state().is_terminal();
    let (live, ended) = if over { (None, Some(shown)) } else { (Some(shown), None) };
    json!({
        "id": id,
        "name": format!("Command Executor (Task: {id})"),
        "source": id,
        "container": task.container_id(),
        "directory": task.sandbox(agent.settings()).display().to_string(),
        "resources": shapes::resources(&task.info().resources),
        "tasks": live.as_slice(),
        "queued_tasks": [],
        "completed_tasks": ended.as_slice(),
    })
}

fn show_task(task: &Task) -> Value {
    let info = task.info();
    let role = info.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
    let statuses: Vec<Value> = task.history().iter().map(shapes::status).collect();
    json!({
        "id": info.task_id.value,
        "name": info.name,
        "framework_id": task.framework_id().value,
        "executor_id": info.task_id.value,
        "slave_id": info.agent_id.value,
        "state": task.status().state().as_str_name(),
        "role": role.unwrap_or_else(|| "*".to_owned()),
        "resources": shapes::resources(&info.resources),
        "labels": shapes::labels(info.labels.as_ref()),
        "statuses": statuses,
    })
}

/// What is not reserved.
fn unreserved(resources: &Resources) -> Vec<muster_api::mesos::Resource> {
    let all = resources.to_proto();
    all.into_iter().filter(|resource| resource.reservations.is_empty()).collect()
}

/// What is reserved, by role.
fn reserved(resources: &Resources) -> Value {
    let mut roles: BTreeMap<String, Vec<muster_api::mesos::Resource>> = BTreeMap::new();
    for resource in resources.to_proto() {
        if let Some(role) = resource.reservations.last().and_then(|r| r.role.clone()) {
            roles.entry(role).or_default().push(resource);
        }
    }
    roles.into_iter().map(|(role, held)| (role, shapes::resources(&held))).collect()
}
