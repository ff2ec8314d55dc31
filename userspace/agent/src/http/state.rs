//! `/state`: the agent with its frameworks, executors and tasks, in Mesos' shape.

use std::collections::BTreeMap;

use muster_api::TaskStateExt;
use muster_api::mesos::{FrameworkInfo, Resource};
use muster_resources::Resources;
use serde_json::{Value, json};

use super::Look;
use crate::{Agent, Executor, Task, TaskKey};

pub(super) fn state(agent: &Agent, look: &Look) -> Value {
    let settings = agent.settings();
    let endpoint = std::net::SocketAddr::new(settings.address, settings.port);
    let mut tasks: BTreeMap<&str, Executors<'_>> = BTreeMap::new();
    for executor in agent.executors() {
        tasks.entry(executor.framework_id()).or_default().running.push(executor);
    }
    // The tasks of an executor are shown with it, as long as it is there.
    for task in agent.tasks().filter(|task| !shown_elsewhere(agent, task)) {
        let executors = tasks.entry(&task.framework_id().value).or_default();
        let over = task.status().state().is_terminal();
        if over { executors.ended.push(task) } else { executors.live.push(task) }
    }
    let mut past: BTreeMap<&str, Executors<'_>> = BTreeMap::new();
    for task in agent.completed() {
        if shown_elsewhere(agent, task) {
            continue;
        }
        let id = task.framework_id().value.as_str();
        tasks.get_mut(id).unwrap_or_else(|| past.entry(id).or_default()).ended.push(task);
    }
    for executor in agent.completed_executors() {
        let id = executor.framework_id();
        tasks.get_mut(id).unwrap_or_else(|| past.entry(id).or_default()).over.push(executor);
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
        "resources": settings.resources.totals(),
        "reserved_resources": settings.resources.reserved_totals(),
        "unreserved_resources": settings.resources.unreserved().totals(),
        "attributes": muster_api::state::attributes(&settings.attributes),
        "master_hostname": *look.master,
        "registered": agent.registered(),
        "flags": *look.flags,
        "frameworks": frameworks(tasks),
        "completed_frameworks": frameworks(past),
    })
}

/// Whether a task is one of an executor that is shown itself.
fn shown_elsewhere(agent: &Agent, task: &Task) -> bool {
    let mut executors = agent.executors().chain(agent.completed_executors());
    executors.any(|executor| Some(executor.container_id()) == task.host())
}

/// The executors of one framework: its own, and as in Mesos, one for each task without one.
#[derive(Default)]
struct Executors<'a> {
    running: Vec<&'a Executor>,
    over: Vec<&'a Executor>,
    live: Vec<&'a Task>,
    ended: Vec<&'a Task>,
}

impl Executors<'_> {
    /// What is known of the framework.
    fn info(&self) -> FrameworkInfo {
        let executor = self.running.iter().chain(&self.over).map(|e| e.framework().clone()).next();
        let task = || self.live.iter().chain(&self.ended).map(|task| task.framework()).next();
        executor.or_else(task).unwrap_or_default()
    }

    fn framework(&self, id: &str, agent: &Agent) -> Value {
        let show = |tasks: &[&Task]| -> Vec<Value> {
            tasks.iter().map(|task| executor(task, agent)).collect()
        };
        let own = |executors: &[&Executor]| -> Vec<Value> {
            executors.iter().map(|executor| own_executor(executor, agent)).collect()
        };
        let with = |own: Vec<Value>, made: Vec<Value>| [own, made].concat();
        let info = self.info();
        json!({
            "id": id,
            "name": info.name,
            "user": info.user,
            "failover_timeout": info.failover_timeout(),
            "checkpoint": info.checkpoint(),
            "hostname": info.hostname(),
            "roles": roles(&info),
            "executors": with(own(&self.running), show(&self.live)),
            "completed_executors": with(own(&self.over), show(&self.ended)),
        })
    }
}

/// The roles of a framework, in either of the ways to say them.
fn roles(info: &FrameworkInfo) -> Vec<String> {
    #[expect(deprecated, reason = "it is what a framework of one role says")]
    let one = || info.role.clone().unwrap_or_else(|| "*".to_owned());
    if info.roles.is_empty() { vec![one()] } else { info.roles.clone() }
}

/// An executor of the framework's own.
fn own_executor(executor: &Executor, agent: &Agent) -> Value {
    let info = executor.info();
    let container = executor.container_id();
    let own = |task: &&Task| task.host() == Some(container);
    let (over, live): (Vec<&Task>, Vec<&Task>) =
        agent.tasks().filter(own).partition(|task| task.status().state().is_terminal());
    let queued = |task: &&Task| {
        let id = task.info().task_id.value.clone();
        executor.queues(&TaskKey { framework: task.framework_id().value.clone(), task: id })
    };
    let (queued, live): (Vec<&Task>, Vec<&Task>) = live.into_iter().partition(queued);
    let forgotten = agent.completed().filter(own);
    let show = |tasks: Vec<&Task>| tasks.into_iter().map(show_task).collect::<Vec<Value>>();
    json!({
        "id": info.executor_id.value,
        "name": info.name(),
        "container": container,
        "directory": executor.sandbox(agent.settings()).display().to_string(),
        "resources": totals(&info.resources),
        "type": info.r#type().as_str_name(),
        "tasks": show(live),
        "queued_tasks": show(queued),
        "completed_tasks": show(over.into_iter().chain(forgotten).collect()),
    })
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
        "resources": totals(&task.info().resources),
        "tasks": live.as_slice(),
        "queued_tasks": [],
        "completed_tasks": ended.as_slice(),
    })
}

fn show_task(task: &Task) -> Value {
    let info = task.info();
    let framework = &task.framework_id().value;
    let resources = totals(&info.resources);
    muster_api::state::task(
        framework,
        task.executor_id(),
        info,
        task.status(),
        task.history(),
        &resources,
    )
}

/// What these are together, as far as that makes sense: it may be why a task was refused.
fn totals(resources: &[Resource]) -> Value {
    Resources::from_proto(resources).unwrap_or_default().totals()
}
