//! The agent's flags, as it shows them.

use std::time::Duration;

use muster_containerizer::{Fetching, ImageLimits, Isolation, Logger, Registries};
use serde_json::{Map, Value, json};

use super::{Config, ImageGc, Recover};

/// The flags of `config` by their names, without those that were not given and have no default.
pub(super) fn of(config: &Config) -> Value {
    let groups = [
        general(config),
        images(&config.registries),
        limits(config.image_limits),
        json!({ "image_gc_config": config.image_gc.as_ref().map(ImageGc::text) }),
        fetching(&config.fetching),
        logger(config.logger),
        isolation(&config.isolation),
        executors(config),
        Value::Object(config.containerizers.flags()),
    ];
    let objects = groups.into_iter().filter_map(|group| match group {
        Value::Object(flags) => Some(flags),
        _ => None,
    });
    let flags: Map<String, Value> =
        objects.flatten().filter(|(_, value)| !value.is_null()).collect();
    Value::Object(flags)
}

fn general(config: &Config) -> Value {
    json!({
        "master": config.master,
        "ip": config.ip.to_string(),
        "port": config.port.to_string(),
        "vip_port": config.vip_port.to_string(),
        "net_ip": config.net_ip.to_string(),
        "net_port": config.net_port().ok().map(|port| port.to_string()),
        "vip_backend": config.vip_backend.name(),
        "vip_policy": config.vip_policy.name(),
        "vip_interfaces": config.vip_interfaces.to_string(),
        "vip_flows": config.vip_flows.to_string(),
        "vip_new_flows": config.vip_new_flows.to_string(),
        "hostname": config.hostname,
        "name": config.name,
        "work_dir": config.work_dir.display().to_string(),
        "runtime_dir": config.runtime_dir.display().to_string(),
        "image_dir": config.image_dir.display().to_string(),
        "resources": config.resources,
        "attributes": config.attributes,
        "cgroups_root": config.cgroups_root,
        "bpffs": config.bpffs.display().to_string(),
        "gc_delay": seconds(config.gc_delay),
    })
}

fn images(registries: &Registries) -> Value {
    json!({
        "docker_registry": registries.default,
        "docker_registry_mirror": registries.mirrors.join(","),
        "insecure_registry": registries.insecure.join(","),
        // What is in it is a secret.
        "docker_config": registries.config.as_ref().map(|_| "(given)"),
        "docker_registry_ca": registries.certificates,
    })
}

fn limits(limits: ImageLimits) -> Value {
    json!({
        "image_max_size": format!("{}B", limits.size),
        "image_max_entries": limits.entries.to_string(),
        "image_max_layers": limits.layers.to_string(),
        "image_max_depth": limits.depth.to_string(),
        "image_max_compression_ratio": limits.ratio.to_string(),
    })
}

fn fetching(fetching: &Fetching) -> Value {
    json!({
        "fetcher_cache_dir": fetching.cache_dir.display().to_string(),
        "fetcher_cache_size": format!("{}B", fetching.cache_bytes),
        "fetcher_stall_timeout": format!("{}secs", fetching.stall_timeout.as_secs_f64()),
        "frameworks_home": fetching.frameworks_home,
    })
}

fn logger(logger: Logger) -> Value {
    let Logger::Logrotate { stdout, stderr } = logger else {
        return json!({ "container_logger": "sandbox" });
    };
    json!({
        "container_logger": "logrotate",
        "max_stdout_size": format!("{}B", stdout.max_bytes),
        "logrotate_stdout_options": format!("rotate {}", stdout.files),
        "max_stderr_size": format!("{}B", stderr.max_bytes),
        "logrotate_stderr_options": format!("rotate {}", stderr.files),
    })
}

fn isolation(isolation: &Isolation) -> Value {
    json!({
        "isolation": isolation.names,
        "cgroups_enable_cfs": isolation.cfs_quota.to_string(),
        "cgroups_limit_swap": isolation.limit_swap.to_string(),
        "cgroups_blkio_weight": isolation.block_io.weight.map(|weight| weight.to_string()),
        "cgroups_blkio_throttle": isolation.block_io
            .throttles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
        "disallow_sharing_agent_pid_namespace":
            isolation.disallow_sharing_pid_namespace.to_string(),
        "disallow_sharing_agent_ipc_namespace":
            isolation.disallow_sharing_ipc_namespace.to_string(),
        "default_container_shm_size": format!("{}B", isolation.shm_bytes),
        "effective_capabilities":
            isolation.effective_capabilities.map(|set| set.to_string()),
        "bounding_capabilities": isolation.bounding_capabilities.to_string(),
        "container_disk_watch_interval":
            format!("{}secs", isolation.disk_watch_interval.as_secs_f64()),
        "enforce_container_disk_quota": isolation.enforce_disk_quota.to_string(),
        "xfs_project_range": isolation.project_range.to_string(),
        "xfs_kill_containers": isolation.xfs_kill_containers.to_string(),
        "nvidia_gpu_devices": isolation.nvidia_gpu_devices.as_ref().map(|minors| {
            minors.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }),
        "nvidia_root": isolation.nvidia_root.display().to_string(),
        "isolator_dir": isolation.isolator_dir.as_ref().map(|path| path.display().to_string()),
        "isolator_timeout": format!("{}secs", isolation.isolator_timeout.as_secs_f64()),
        "seccomp_config_dir":
            isolation.seccomp_dir.as_ref().map(|path| path.display().to_string()),
        "image_provisioner_backend": isolation.image_backends.to_string(),
        "seccomp_profile_name": isolation.seccomp_profile,
        "cgroups_pids_limit": isolation.pids_limit.to_string(),
    })
}

fn executors(config: &Config) -> Value {
    json!({
        "executor_registration_timeout": seconds(config.patience.registration),
        "executor_reregistration_timeout": seconds(config.patience.reregistration),
        "executor_shutdown_grace_period": seconds(config.patience.shutdown),
        "recovery_timeout": seconds(config.patience.recovery),
        "recover": match config.recover {
            Recover::Reconnect => "reconnect",
            Recover::Cleanup => "cleanup",
        },
    })
}

/// As Mesos writes a duration.
fn seconds(duration: Duration) -> String {
    format!("{}secs", duration.as_secs_f64())
}
