//! `/containers` and `/monitor/statistics`: what each container uses.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use muster_containerizer::{DeviceIo, Traffic, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Look;
use crate::{Agent, Executor, Phase, Task};

/// Which containers to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    container_id: Option<String>,
}

/// Running containers with what they use and where they are.
pub(super) async fn containers(
    State(look): State<Look>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Response {
    match filter {
        Ok(Query(filter)) => measure(look, filter.container_id, true).await,
        Err(error) => (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    }
}

/// Running containers with what they use.
pub(super) async fn statistics(State(look): State<Look>) -> Response {
    measure(look, None, false).await
}

async fn measure(look: Look, only: Option<String>, full: bool) -> Response {
    Json(measured(look, only, full).await).into_response()
}

/// Running containers with what they use, and in the full form with where they are.
pub(super) async fn measured(look: Look, only: Option<String>, full: bool) -> Vec<Value> {
    let containers: Vec<(String, Value)> = look.agent(|agent| {
        let wanted = |id: &str| only.as_ref().is_none_or(|only| only == id);
        let tasks = agent.tasks().filter(|task| task.phase() == Phase::Running && !task.hosted());
        let tasks = tasks.map(|task| (task.container_id().to_owned(), describe(task, full)));
        let executors = agent.executors().filter(|e| e.phase() == Phase::Running);
        let executors = executors
            .map(|executor| (executor.container_id().to_owned(), own(executor, agent, full)));
        executors.chain(tasks).filter(|(id, _)| wanted(id)).collect()
    });
    let now = look.clock.now();
    let measured = containers.into_iter().map(|(id, shown)| with_usage(&look, id, shown, now));
    futures::future::join_all(measured).await.into_iter().flatten().collect()
}

/// The container of a task; with its status only in the `full` form.
fn describe(task: &Task, full: bool) -> Value {
    let id = &task.info().task_id.value;
    let mut object = json!({
        "executor_id": task.executor_id(),
        "executor_name": format!("Command Executor (Task: {id})"),
        "framework_id": task.framework_id().value,
        "source": id,
    });
    if full {
        object["container_id"] = json!(task.container_id());
        object["status"] =
            json!(task.status().container_status.as_ref().map(muster_api::json::Json));
    }
    object
}

/// The container of an executor of the framework's own.
fn own(executor: &Executor, agent: &Agent, full: bool) -> Value {
    let mut object = json!({
        "executor_id": executor.info().executor_id.value,
        "executor_name": executor.info().name(),
        "framework_id": executor.framework_id(),
        "source": executor.info().executor_id.value,
    });
    if full {
        object["container_id"] = json!(executor.container_id());
        object["status"] =
            json!(muster_api::json::Json(&executor.container_status(agent.settings())));
    }
    object
}

/// Adds what the container uses; none if it has just ended.
async fn with_usage(look: &Look, id: String, mut shown: Value, now: Duration) -> Option<Value> {
    match look.containers.usage(&id).await {
        Ok(usage) => {
            shown["statistics"] = statistics_of(&usage, now);
            // Only in the full form, and of a container that is still there.
            if let (Some(status), Some(found)) =
                (shown.get_mut("status"), look.containers.status(&id))
                && let Some(cpus) = found.cpus
            {
                status["cgroup_info"]["cpuset"]["cpus"] = json!(cpus);
            }
            Some(shown)
        }
        Err(error) => {
            tracing::debug!(container = id, %error, "no statistics");
            None
        }
    }
}

/// Mesos' `ResourceStatistics`; what this machine does not count is left out.
pub(super) fn statistics_of(usage: &Usage, now: Duration) -> Value {
    let floats = [
        ("cpus_user_time_secs", usage.cpus_user_time_secs),
        ("cpus_system_time_secs", usage.cpus_system_time_secs),
        ("cpus_limit", usage.cpus_limit),
        ("cpus_soft_limit", usage.cpus_soft_limit),
        ("cpus_throttled_time_secs", usage.cpus_throttled_time_secs),
    ];
    let integers = [
        ("cpus_nr_periods", usage.cpus_nr_periods),
        ("cpus_nr_throttled", usage.cpus_nr_throttled),
        ("mem_total_bytes", usage.mem_total_bytes),
        ("mem_total_memsw_bytes", usage.mem_total_memsw_bytes),
        ("mem_kmem_usage_bytes", usage.mem_kmem_usage_bytes),
        ("mem_kmem_tcp_usage_bytes", usage.mem_kmem_tcp_usage_bytes),
        ("mem_rss_bytes", usage.mem_rss_bytes),
        ("mem_anon_bytes", usage.mem_rss_bytes),
        ("mem_cache_bytes", usage.mem_cache_bytes),
        ("mem_file_bytes", usage.mem_cache_bytes),
        ("mem_mapped_file_bytes", usage.mem_mapped_file_bytes),
        ("mem_swap_bytes", usage.mem_swap_bytes),
        ("mem_unevictable_bytes", usage.mem_unevictable_bytes),
        ("mem_soft_limit_bytes", usage.mem_soft_limit_bytes),
        ("mem_limit_bytes", usage.mem_limit_bytes),
        ("mem_low_pressure_counter", usage.mem_low_pressure_counter),
        ("mem_medium_pressure_counter", usage.mem_medium_pressure_counter),
        ("mem_critical_pressure_counter", usage.mem_critical_pressure_counter),
        ("disk_limit_bytes", usage.disk_limit_bytes),
        ("disk_used_bytes", usage.disk_used_bytes),
        ("threads", usage.threads),
        ("processes", usage.processes),
    ];
    let mut object = Map::new();
    object.insert("timestamp".to_owned(), json!(now.as_secs_f64()));
    for (name, value) in floats {
        object.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    for (name, value) in integers {
        object.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    if let Some(network) = &usage.network {
        for (way, traffic) in [("rx", network.received), ("tx", network.sent)] {
            let Traffic { packets, bytes, errors, dropped } = traffic;
            let counted =
                [("packets", packets), ("bytes", bytes), ("errors", errors), ("dropped", dropped)];
            object.extend(counted.map(|(what, count)| (format!("net_{way}_{what}"), json!(count))));
        }
    }
    if !usage.block_io.is_empty() {
        let throttling: Vec<Value> = usage.block_io.iter().map(block_io).collect();
        object.insert("blkio_statistics".to_owned(), json!({ "throttling": throttling }));
    }
    Value::Object(object)
}

/// Mesos' `CgroupInfo.Blkio.Throttling.Statistics` of a device.
fn block_io(io: &DeviceIo) -> Value {
    let by_operation = |read: u64, write: u64, discard: u64| {
        let total = read.saturating_add(write).saturating_add(discard);
        let values = [("READ", read), ("WRITE", write), ("DISCARD", discard), ("TOTAL", total)];
        values.map(|(operation, value)| json!({ "op": operation, "value": value }))
    };
    json!({
        "device": { "major_number": io.device.major, "minor_number": io.device.minor },
        "io_serviced": by_operation(io.reads, io.writes, io.discards),
        "io_service_bytes": by_operation(io.read_bytes, io.write_bytes, io.discarded_bytes),
    })
}

#[cfg(test)]
mod tests {
    use muster_containerizer::NetworkUsage;

    use super::*;

    #[test]
    fn statistics_have_mesos_names_and_only_what_is_counted() {
        let usage = Usage {
            cpus_user_time_secs: Some(1.5),
            mem_rss_bytes: Some(4096),
            processes: Some(2),
            disk_used_bytes: Some(5),
            disk_limit_bytes: Some(7),
            ..Usage::default()
        };
        let expected = json!({
            "timestamp": 12.5,
            "cpus_user_time_secs": 1.5,
            "mem_rss_bytes": 4096,
            "mem_anon_bytes": 4096,
            "processes": 2,
            "disk_used_bytes": 5,
            "disk_limit_bytes": 7,
        });
        assert_eq!(statistics_of(&usage, Duration::from_millis(12500)), expected);
        let device = DeviceIo {
            device: "8:0".parse().unwrap(),
            read_bytes: 4096,
            write_bytes: 0,
            discarded_bytes: 0,
            reads: 1,
            writes: 2,
            discards: 0,
        };
        let sent = Traffic { packets: 1, bytes: 60, errors: 0, dropped: 2 };
        let network = Some(NetworkUsage { sent, ..NetworkUsage::default() });
        let usage = Usage { block_io: vec![device], network, ..Usage::default() };
        let shown = statistics_of(&usage, Duration::ZERO);
        let [device] = &shown["blkio_statistics"]["throttling"].as_array().unwrap()[..] else {
            panic!("{shown}");
        };
        assert_eq!(device["device"], json!({ "major_number": 8, "minor_number": 0 }));
        assert_eq!(device["io_service_bytes"][0], json!({ "op": "READ", "value": 4096 }));
        assert_eq!(device["io_serviced"][3], json!({ "op": "TOTAL", "value": 3 }));
        assert_eq!((&shown["net_tx_bytes"], &shown["net_tx_dropped"]), (&json!(60), &json!(2)));
        assert_eq!(shown["net_rx_packets"], 0);
    }
}
