//! `/metrics/snapshot`: Mesos' names, flat.

use muster_api::mesos::TaskState;
use serde_json::{Map, Value, json};

use super::state::count_tasks;
use crate::core::{Agent, Master};

pub(super) fn snapshot(master: &Master) -> Value {
    let counters = master.counters();
    let frameworks = || master.frameworks().values().filter(|framework| !framework.completed);
    let connected = master.agents().values().filter(|agent| agent.is_connected()).count();
    let mut metrics = Map::new();
    let mut set = |name: &str, value: f64| metrics.insert(name.to_owned(), json!(value));
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    {
        set("master/elected", 1.0);
        set("master/slaves_active", connected as f64);
        set("master/slaves_connected", connected as f64);
        set("master/slaves_disconnected", (master.agents().len() - connected) as f64);
        set("master/slave_registrations", counters.registrations as f64);
        set("master/slave_reregistrations", counters.reregistrations as f64);
        set("master/slave_unreachable_scheduled", counters.unreachable as f64);
        set(
            "master/frameworks_active",
            frameworks().filter(|f| f.connection.is_some()).count() as f64,
        );
        set(
            "master/frameworks_disconnected",
            frameworks().filter(|f| f.connection.is_none()).count() as f64,
        );
        set("master/outstanding_offers", master.offers().len() as f64);
        set("master/messages_status_update", counters.updates as f64);
        set("master/tasks_staging", count_tasks(master, TaskState::TaskStaging) as f64);
        set("master/tasks_starting", count_tasks(master, TaskState::TaskStarting) as f64);
        set("master/tasks_running", count_tasks(master, TaskState::TaskRunning) as f64);
        set("master/tasks_killing", count_tasks(master, TaskState::TaskKilling) as f64);
        set("muster/offers_made", counters.offers as f64);
        set("muster/tasks_launched", counters.launched as f64);
        set("muster/tasks_refused", counters.errors as f64);
    }
    for (name, value) in master.allocator().metrics() {
        set(&name, value);
    }
    for name in ["cpus", "gpus", "mem", "disk"] {
        let total: f64 = master
            .agents()
            .values()
            .filter(|agent: &&Agent| agent.is_connected())
            .map(|agent| agent.total.scalar(name).as_f64())
            .sum();
        let used: f64 = master
            .tasks()
            .values()
            .filter(|task| !task.is_terminal())
            .map(|task| task.resources.scalar(name).as_f64())
            .sum();
        set(&format!("master/{name}_total"), total);
        set(&format!("master/{name}_used"), used);
        set(&format!("master/{name}_percent"), if total > 0.0 { used / total } else { 0.0 });
    }
    Value::Object(metrics)
}
