//! A container as the engine is asked for it.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, Mount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, PortBinding,
};
use muster_containerizer::{Limit, Logger, Resources, SANDBOX};

use crate::{About, Config, Container, Error, Network, Source, Volume, label};

/// Shares of a CPU, and the least, as in Mesos.
const SHARES: u64 = 1024;
const MIN_SHARES: u64 = 2;
/// The least memory of a container, as in Mesos.
const MIN_MEMORY: u64 = 32 << 20;
/// The period of the ceiling of CPUs in microseconds.
const PERIOD: u64 = 100_000;
const MIN_QUOTA: u64 = 1000;
/// The least that the engine keeps of the output in one file: it gives some of it twice, or not at all,
/// when it begins another faster than it notices.
const MIN_LOG: u64 = 10 << 20;
/// More would not be told apart from no limit.
const MAX: u64 = i64::MAX as u64;

/// The request for `container`, whose output goes to `logger`.
pub(crate) fn create(
    config: &Config,
    container: &Container,
    about: &About,
    logger: Logger,
) -> Result<ContainerCreateBody, Error> {
    let text = |path: &std::path::Path, field| match path.to_str() {
        Some(text) if !text.contains([':', '\0']) => Ok(text.to_owned()),
        _ => Err(Error::Spec {
            field,
            reason: format!(
                "{} cannot be told to the engine: it has a colon, or is no text",
                path.display()
            ),
        }),
    };
    let mut binds = vec![format!("{}:{SANDBOX}", text(&container.sandbox, "sandbox")?)];
    let mut mounts = Vec::new();
    for volume in &container.volumes {
        let inside = text(&volume.container_path, "volumes.container_path")?;
        let inside = if inside.starts_with('/') { inside } else { format!("{SANDBOX}/{inside}") };
        match &volume.source {
            Source::Host { path, propagation } => {
                let mode = if volume.read_only { "ro" } else { "rw" };
                let more = propagation.map(|mode| format!(",{mode}")).unwrap_or_default();
                binds.push(format!("{}:{inside}:{mode}{more}", text(path, "volumes.host_path")?));
            }
            Source::Named { .. } => mounts.push(named(volume, inside)),
        }
    }
    let mut host = HostConfig {
        cgroup_parent: about.cgroups.parent(&config.cgroups_root),
        network_mode: Some(match &container.network {
            Network::Host => "host".to_owned(),
            Network::Bridge => "bridge".to_owned(),
            Network::None => "none".to_owned(),
            Network::User(name) => name.clone(),
        }),
        privileged: Some(container.privileged),
        binds: Some(binds),
        mounts: (!mounts.is_empty()).then_some(mounts),
        ..HostConfig::default()
    };
    let limits = limits(config, &container.resources);
    host.cpu_shares = limits.cpu_shares;
    host.cpu_period = limits.cpu_period;
    host.cpu_quota = limits.cpu_quota;
    host.memory = limits.memory;
    host.memory_swap = limits.memory_swap;
    host.memory_reservation = limits.memory_reservation;
    host.pids_limit = limits.pids_limit;
    let mut exposed = Vec::new();
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &container.ports {
        let inside = format!("{}/{}", port.container, port.protocol.name());
        let binding = PortBinding { host_ip: None, host_port: Some(port.host.to_string()) };
        bindings.entry(inside.clone()).or_default().get_or_insert_default().push(binding);
        exposed.push(inside);
    }
    if !bindings.is_empty() {
        host.port_bindings = Some(bindings);
    }
    let env = container.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let mut body = ContainerCreateBody {
        image: Some(container.image.clone()),
        entrypoint: container.entrypoint.clone(),
        cmd: (!container.args.is_empty()).then(|| container.args.clone()),
        env: Some(env.collect()),
        user: container.user.clone(),
        hostname: container.hostname.clone(),
        labels: Some(labels(config, container)),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    container.parameters.apply(&mut body);
    bound(&mut body, about, logger);
    Ok(body)
}

/// Has the engine keep of the output as much as the sandbox does, or little, unless the task has said how much.
fn bound(body: &mut ContainerCreateBody, about: &About, logger: Logger) {
    let Logger::Logrotate { stdout, stderr } = logger else { return };
    let log = body.host_config.get_or_insert_default().log_config.get_or_insert_default();
    let driver = log.typ.as_deref().filter(|driver| !driver.is_empty());
    if driver.unwrap_or(&about.log_driver) != "json-file" {
        return;
    }
    let options = log.config.get_or_insert_default();
    if options.contains_key("max-size") {
        return;
    }
    let bytes = stdout.max_bytes.saturating_add(stderr.max_bytes).max(MIN_LOG);
    options.insert("max-size".to_owned(), bytes.to_string());
    // With one file it would forget what has just been written.
    let files = stdout.files.max(stderr.files).max(1) + 1;
    options.entry("max-file".to_owned()).or_insert_with(|| files.to_string());
}

fn named(volume: &Volume, target: String) -> Mount {
    let mut mount = Mount {
        target: Some(target),
        typ: Some(MountType::VOLUME),
        read_only: Some(volume.read_only),
        ..Mount::default()
    };
    if let Source::Named { name, driver, options } = &volume.source {
        mount.source = Some(name.clone());
        mount.volume_options = driver.as_ref().map(|driver| MountVolumeOptions {
            driver_config: Some(MountVolumeOptionsDriverConfig {
                name: Some(driver.clone()),
                options: Some(options.clone().into_iter().collect()),
            }),
            ..MountVolumeOptions::default()
        });
    }
    mount
}

fn labels(config: &Config, container: &Container) -> HashMap<String, String> {
    let sandbox = container.sandbox.to_string_lossy().into_owned();
    [
        (label::AGENT, config.agent.clone()),
        (label::AGENT_ID, container.agent_id.clone()),
        (label::CONTAINER, container.id.clone()),
        (label::FRAMEWORK, container.framework.clone()),
        (label::TASK, container.task.clone()),
        (label::SANDBOX, sandbox),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What the engine is told of resources, at first and for a change.
pub(crate) fn limits(config: &Config, resources: &Resources) -> ContainerUpdateBody {
    let signed = |value: u64| i64::try_from(value.min(MAX)).unwrap_or(i64::MAX);
    let shares = (resources.cpus_milli.saturating_mul(SHARES) / 1000).max(MIN_SHARES);
    let ceiling = match resources.cpus_limit {
        Some(Limit::At(milli)) => Some(milli),
        Some(Limit::Infinite) => None,
        None => config.cfs_quota.then_some(resources.cpus_milli),
    };
    let quota = ceiling.map(|milli| (milli.saturating_mul(PERIOD) / 1000).max(MIN_QUOTA));
    let promised = resources.mem_bytes.max(MIN_MEMORY);
    let memory = match resources.mem_limit {
        Some(Limit::At(bytes)) => Some(bytes.max(MIN_MEMORY)),
        Some(Limit::Infinite) => None,
        None => Some(promised),
    };
    let memory = memory.map(signed);
    ContainerUpdateBody {
        cpu_shares: Some(signed(shares)),
        cpu_period: quota.map(|_| signed(PERIOD)),
        cpu_quota: quota.map(signed),
        memory,
        // Without a word of swap the engine allows as much of it as of memory.
        memory_swap: if config.limit_swap { memory } else { memory.map(|_| -1) },
        memory_reservation: resources.mem_limit.map(|_| signed(promised)),
        pids_limit: match resources.pids_limit {
            Some(Limit::At(tasks)) => Some(signed(tasks)),
            Some(Limit::Infinite) => Some(-1),
            None => None,
        },
        ..ContainerUpdateBody::default()
    }
}

#[cfg(test)]
mod tests;
