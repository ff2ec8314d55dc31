//! `/metrics/snapshot`: one flat object of numbers, with Mesos' names where Mesos has one.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use muster_api::mesos::{Resource, TaskState};
use nix::sys::sysinfo::sysinfo;
use serde_json::{Map, Value, json};

use super::Look;
use crate::Agent;

pub(super) async fn snapshot(State(look): State<Look>) -> Json<Value> {
    Json(numbers(&look))
}

/// All metrics by name.
pub(super) fn numbers(look: &Look) -> Value {
    let uptime = look.clock.now().saturating_sub(look.clock.started());
    let mut metrics = Metrics(Map::new());
    metrics.set("slave/uptime_secs", uptime.as_secs_f64());
    look.agent(|agent| metrics.agent(agent));
    metrics.system();
    Value::Object(metrics.0)
}

struct Metrics(Map<String, Value>);

impl Metrics {
    fn set(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), json!(value));
    }

    fn count(&mut self, name: &str, value: u64) {
        self.0.insert(name.to_owned(), json!(value));
    }

    fn agent(&mut self, agent: &Agent) {
        self.count("slave/registered", agent.registered().into());
        self.count("slave/store_writable", agent.store_failure().is_none().into());
        let in_state = |state: TaskState| {
            agent.tasks().filter(|task| task.status().state() == state).count() as u64
        };
        self.count("slave/tasks_starting", in_state(TaskState::TaskStarting));
        self.count("slave/tasks_running", in_state(TaskState::TaskRunning));
        let frameworks: BTreeSet<&str> =
            agent.tasks().map(|task| task.framework_id().value.as_str()).collect();
        self.count("slave/frameworks_active", frameworks.len() as u64);
        let counters = agent.counters();
        for (name, count) in [
            ("slave/tasks_finished", counters.finished),
            ("slave/tasks_failed", counters.failed),
            ("slave/tasks_killed", counters.killed),
            ("slave/tasks_lost", counters.lost),
            ("slave/tasks_error", counters.error),
            ("slave/tasks_dropped", counters.dropped),
            ("slave/container_launch_errors", counters.launch_errors),
            ("slave/registrations", counters.registrations),
            ("slave/status_updates_sent", counters.updates_sent),
            ("slave/status_updates_acknowledged", counters.updates_acknowledged),
            ("slave/store_errors", counters.store_errors),
            ("slave/data_plane_errors", counters.reconcile_errors),
            ("containerizer/mesos/container_destroy_errors", counters.destroy_errors),
            ("containerizer/mesos/memory_limits_exceeded", counters.memory_limits),
        ] {
            self.count(name, count);
        }
        let pending: usize = agent.tasks().map(crate::Task::unacknowledged).sum();
        self.count("slave/status_updates_pending", pending as u64);
        self.count("slave/checkpoints_pending", agent.unwritten() as u64);
        self.resources(agent);
        self.vips(agent);
    }

    /// How many VIPs there are, and how many are not served as the view says, and why.
    fn vips(&mut self, agent: &Agent) {
        let skips = agent.vips_skipped();
        self.count("slave/vips", agent.view().vips().count() as u64);
        self.count("slave/vips_skipped", skips.total() as u64);
        self.count("slave/vips_skipped/failed", skips.failed as u64);
        self.count("slave/vips_skipped/invalid", skips.invalid as u64);
        for (map, count) in skips.by_map() {
            self.count(&format!("slave/vips_skipped/map_full/{map}"), count as u64);
        }
    }

    /// Totals, what tasks hold, and the fraction of it, of each scalar Mesos counts.
    fn resources(&mut self, agent: &Agent) {
        let sum = |resources: &[Resource], name: &str| -> f64 {
            let named = resources.iter().filter(|resource| resource.name == name);
            named.filter_map(|resource| resource.scalar).map(|scalar| scalar.value).sum()
        };
        let total = agent.settings().resources.to_proto();
        let used = agent.used().to_proto();
        for name in ["cpus", "mem", "disk", "gpus"] {
            let (total, used) = (sum(&total, name), sum(&used, name));
            self.set(format!("slave/{name}_total"), total);
            self.set(format!("slave/{name}_used"), used);
            self.set(format!("slave/{name}_percent"), if total > 0.0 { used / total } else { 0.0 });
        }
    }

    fn system(&mut self) {
        let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        self.count("system/cpus_total", cpus as u64);
        // It fails for no reason that sysinfo(2) names; there is just nothing to show then.
        if let Ok(info) = sysinfo() {
            let (one, five, fifteen) = info.load_average();
            self.set("system/load_1min", one);
            self.set("system/load_5min", five);
            self.set("system/load_15min", fifteen);
            self.count("system/mem_total_bytes", info.ram_total());
            self.count("system/mem_free_bytes", info.ram_unused());
        }
    }
}
