//! Frameworks as the v1 API shows them.

use muster_api::mesos::master::response::{GetFrameworks, get_frameworks};

use super::agents::{shown, time};
use crate::core::{Framework, Master, Task, offer_message};
use crate::http::json::sum;

pub(super) fn frameworks(master: &Master) -> GetFrameworks {
    let mut answer = GetFrameworks::default();
    for (id, framework) in master.frameworks() {
        let list = if framework.completed {
            &mut answer.completed_frameworks
        } else {
            &mut answer.frameworks
        };
        list.push(describe(master, id, framework));
    }
    answer
}

fn describe(master: &Master, id: &str, framework: &Framework) -> get_frameworks::Framework {
    let keys = master.tasks_of_framework(id);
    let tasks = keys.iter().filter_map(|key| master.tasks().get(key));
    let used = tasks.filter(|task| !task.is_terminal()).map(Task::allocated);
    let used = used.chain(master.executors_of(id).map(|(_, executor)| executor.allocated()));
    let offers: Vec<_> =
        master.offers().iter().filter(|(_, offer)| offer.framework == id).collect();
    let offered = offers.iter().map(|(_, offer)| offer.resources.clone().allocated_to(&offer.role));
    let ended = if framework.completed { framework.disconnected } else { None };
    let connected = framework.connection.is_some();
    get_frameworks::Framework {
        framework_info: framework.info.clone(),
        active: connected,
        connected,
        recovered: !connected && framework.reregistered.is_none(),
        registered_time: Some(time(framework.registered)),
        reregistered_time: framework.reregistered.map(time),
        unregistered_time: ended.map(time),
        offers: offers
            .iter()
            .filter_map(|(offer, held)| {
                let agent = master.agents().get(&held.agent)?;
                Some(offer_message(offer, held, agent))
            })
            .collect(),
        allocated_resources: shown(&sum(used)),
        offered_resources: shown(&sum(offered)),
        offer_constraints: framework.offer_constraints.clone(),
        ..get_frameworks::Framework::default()
    }
}
