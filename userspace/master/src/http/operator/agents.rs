//! Agents as the v1 API shows them.

use std::time::Duration;

use muster_api::mesos::agent_info::{Capability, capability};
use muster_api::mesos::master::response::{GetAgents, get_agents};
use muster_api::mesos::{AgentInfo, Resource, TimeInfo};
use muster_resources::{Format, Resources, convert};

use crate::core::{Agent, Liveness, Master, Task};
use crate::http::json::sum;

pub(super) fn agents(master: &Master) -> GetAgents {
    let mut answer = GetAgents::default();
    for (id, agent) in master.agents() {
        match agent.liveness {
            Liveness::Recovered { .. } => answer.recovered_agents.push(info(agent)),
            Liveness::Unreachable { .. } => {}
            Liveness::Connected { .. } | Liveness::Disconnected { .. } => {
                answer.agents.push(describe(master, id, agent));
            }
        }
    }
    answer
}

fn info(agent: &Agent) -> AgentInfo {
    AgentInfo { resources: shown(&agent.total), ..agent.info.clone() }
}

fn describe(master: &Master, id: &str, agent: &Agent) -> get_agents::Agent {
    let used = master.tasks_on(id).filter(|task| !task.is_terminal()).map(Task::allocated);
    let used = used.chain(master.executors_on(id).map(|(_, executor)| executor.allocated()));
    let offers = master.offers().values().filter(|offer| offer.agent == id);
    let offered = offers.map(|offer| offer.resources.clone().allocated_to(&offer.role));
    // What the allocator takes every agent to be able to.
    let capabilities = [
        capability::Type::MultiRole,
        capability::Type::HierarchicalRole,
        capability::Type::ReservationRefinement,
    ];
    get_agents::Agent {
        agent_info: info(agent),
        active: agent.is_connected(),
        deactivated: Some(false),
        version: agent.version.clone(),
        pid: Some(format!("slave(1)@{}:{}", agent.address, agent.info.port())),
        registered_time: Some(time(agent.registered)),
        reregistered_time: agent.reregistered.map(time),
        total_resources: shown(&agent.total),
        allocated_resources: shown(&sum(used)),
        offered_resources: shown(&sum(offered)),
        capabilities: capabilities.map(|kind| Capability { r#type: Some(kind.into()) }).into(),
        ..get_agents::Agent::default()
    }
}

/// Resources as operators are shown them: reservations in the new form and in the old.
pub(super) fn shown(resources: &Resources) -> Vec<Resource> {
    let mut messages = resources.to_proto();
    for message in &mut messages {
        if let Err(error) = convert(message, Format::Endpoint) {
            // They are ours, and valid; the message still says it all in the new form.
            tracing::error!(resource = message.name, %error, "resource cannot be shown");
        }
    }
    messages
}

pub(super) fn time(since_1970: Duration) -> TimeInfo {
    TimeInfo { nanoseconds: i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX) }
}
