//! The service itself.

use serde_json::{Value, json};

use crate::scheduler::Scheduler;

/// `/v2/info`, with Marathon's names for the settings there are.
pub(crate) fn describe(scheduler: &Scheduler) -> Value {
    let config = &scheduler.config;
    let millis =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    json!({
        "name": config.framework_name,
        "version": env!("CARGO_PKG_VERSION"),
        "buildref": "muster",
        "elected": true,
        "leader": config.leader(),
        "frameworkId": scheduler.framework_id,
        "marathon_config": {
            "checkpoint": true,
            "decline_offer_duration": millis(config.decline_offer_duration),
            "executor": "//cmd",
            "failover_timeout": config.failover_timeout.as_secs(),
            "features": ["task_killing", "vips"],
            "framework_name": config.framework_name,
            "ha": false,
            "hostname": config.hostname,
            "local_port_min": config.service_ports.start(),
            "local_port_max": config.service_ports.end(),
            "max_instances_per_offer": config.max_instances_per_offer,
            "mesos_role": config.role,
            "mesos_user": config.user,
            "min_revive_offers_interval": millis(config.min_revive_offers_interval),
            "reconciliation_interval": millis(config.reconciliation_interval),
            "webui_url": format!("http://{}", config.leader()),
        },
        // There is no ZooKeeper; clients expect the object to be there.
        "zookeeper_config": {},
        "http_config": { "http_port": config.http_port },
    })
}
