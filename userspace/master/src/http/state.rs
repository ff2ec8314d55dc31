//! `/state` and its parts.

use muster_api::mesos::TaskState;
use muster_resources::Resources;
use serde_json::{Value, json};

use super::json as mesos;
use super::json::sum;
use crate::core::{Agent, Framework, Liveness, Master, Task};

pub(super) fn state(master: &Master) -> Value {
    let info = master.info();
    let count = |wanted: fn(&Agent) -> bool| master.agents().values().filter(|a| wanted(a)).count();
    let (completed, active): (Vec<_>, Vec<_>) =
        master.frameworks().iter().partition(|(_, framework)| framework.completed);
    let render = |list: Vec<(&String, &Framework)>| -> Vec<Value> {
        list.into_iter().map(|(id, framework)| describe_framework(master, id, framework)).collect()
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "id": info.id,
        "pid": format!("master@{}", master.options().address),
        "leader": format!("master@{}", master.options().address),
        "leader_info": {
            "id": info.id,
            "pid": format!("master@{}", master.options().address),
            "port": info.port,
            "hostname": info.hostname,
        },
        "hostname": info.hostname,
        "cluster": master.options().cluster,
        "start_time": master.started().as_secs_f64(),
        "elected_time": master.started().as_secs_f64(),
        "activated_slaves": count(Agent::is_connected),
        "deactivated_slaves": count(|agent| !agent.is_connected()),
        "unreachable_slaves": count(|agent| matches!(agent.liveness, Liveness::Unreachable { .. })),
        "flags": master.options().flags,
        "slaves": slaves(master)["slaves"],
        "recovered_slaves": slaves(master)["recovered_slaves"],
        "frameworks": render(active),
        "completed_frameworks": render(completed),
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    })
}

pub(super) fn flags(master: &Master) -> Value {
    json!({ "flags": master.options().flags })
}

pub(super) fn slaves(master: &Master) -> Value {
    let (recovered, known): (Vec<_>, Vec<_>) = master
        .agents()
        .iter()
        .partition(|(_, agent)| matches!(agent.liveness, Liveness::Recovered { .. }));
    let render = |list: Vec<(&String, &Agent)>| -> Vec<Value> {
        list.into_iter().map(|(id, agent)| describe_agent(master, id, agent)).collect()
    };
    json!({ "slaves": render(known), "recovered_slaves": render(recovered) })
}

fn describe_agent(master: &Master, id: &str, agent: &Agent) -> Value {
    let used: Resources = sum(master
        .tasks_on(id)
        .filter(|task| !task.is_terminal())
        .map(|task| &task.resources)
        .chain(master.executors_on(id).map(|(_, executor)| &executor.resources)));
    let offered = sum(master
        .offers()
        .values()
        .filter(|offer| offer.agent == id)
        .map(|offer| &offer.resources));
    json!({
        "id": id,
        "hostname": agent.info.hostname,
        "port": agent.info.port(),
        "pid": format!("slave(1)@{}:{}", agent.address, agent.info.port()),
        "version": agent.version,
        "active": agent.is_connected(),
        "registered_time": agent.registered.as_secs_f64(),
        "reregistered_time": agent.reregistered.map(|time| time.as_secs_f64()),
        "resources": agent.total.totals(),
        "used_resources": used.totals(),
        "offered_resources": offered.totals(),
        "reserved_resources": agent.total.reserved_totals(),
        "unreserved_resources": agent.total.unreserved().totals(),
        "attributes": muster_api::state::attributes(&agent.info.attributes),
    })
}

pub(super) fn frameworks(master: &Master) -> Value {
    let (completed, active): (Vec<_>, Vec<_>) =
        master.frameworks().iter().partition(|(_, framework)| framework.completed);
    let render = |list: Vec<(&String, &Framework)>| -> Vec<Value> {
        list.into_iter().map(|(id, framework)| describe_framework(master, id, framework)).collect()
    };
    json!({
        "frameworks": render(active),
        "completed_frameworks": render(completed),
        "unregistered_frameworks": [],
    })
}

fn describe_framework(master: &Master, id: &str, framework: &Framework) -> Value {
    let own: Vec<&Task> =
        master.tasks_of_framework(id).iter().filter_map(|key| master.tasks().get(key)).collect();
    let tasks = own.iter().filter(|task| !task.is_terminal()).map(|task| &task.resources);
    let used = sum(tasks.chain(master.executors_of(id).map(|(_, executor)| &executor.resources)));
    let offers: Vec<_> =
        master.offers().iter().filter(|(_, offer)| offer.framework == id).collect();
    let offered = sum(offers.iter().map(|(_, offer)| &offer.resources));
    let none = Resources::default();
    let info = &framework.info;
    json!({
        "id": id,
        "name": info.name,
        "user": info.user,
        "principal": info.principal,
        "hostname": info.hostname(),
        "webui_url": info.webui_url(),
        "roles": framework.roles(),
        "capabilities": mesos::capabilities(info),
        "failover_timeout": info.failover_timeout(),
        "checkpoint": info.checkpoint(),
        "active": framework.connection.is_some(),
        "connected": framework.connection.is_some(),
        "recovered": framework.connection.is_none() && framework.reregistered.is_none(),
        "registered_time": framework.registered.as_secs_f64(),
        "reregistered_time": framework.reregistered.map(|time| time.as_secs_f64()),
        "resources": used.totals(),
        "used_resources": used.totals(),
        "offered_resources": offered.totals(),
        "tasks": own.iter().map(|task| mesos::task(id, &task.info, &task.status, &task.resources)).collect::<Vec<_>>(),
        "completed_tasks": framework
            .completed_tasks
            .iter()
            .map(|done| mesos::task(id, &done.info, &done.status, &none))
            .collect::<Vec<_>>(),
        "offers": offers
            .iter()
            .map(|(offer, held)| json!({
                "id": offer,
                "framework_id": id,
                "slave_id": held.agent,
                "allocation_info": { "role": held.role },
                "resources": held.resources.totals(),
            }))
            .collect::<Vec<_>>(),
        "executors": master
            .executors_of(id)
            .map(|(key, executor)| mesos::executor(key, executor))
            .collect::<Vec<_>>(),
    })
}

/// Every task, oldest first within a framework: framework, id, JSON.
pub(super) fn tasks(master: &Master) -> impl Iterator<Item = (&str, &str, Value)> {
    let none = Resources::default();
    let ended = master.frameworks().iter().flat_map(move |(id, framework)| {
        let none = none.clone();
        framework.completed_tasks.iter().map(move |done| {
            let value = mesos::task(id, &done.info, &done.status, &none);
            (id.as_str(), done.info.task_id.value.as_str(), value)
        })
    });
    let live = master.tasks().iter().map(|((framework, id), task)| {
        (
            framework.as_str(),
            id.as_str(),
            mesos::task(framework, &task.info, &task.status, &task.resources),
        )
    });
    ended.chain(live)
}

pub(super) fn count_tasks(master: &Master, state: TaskState) -> usize {
    master.tasks().values().filter(|task| task.status.state() == state).count()
}
