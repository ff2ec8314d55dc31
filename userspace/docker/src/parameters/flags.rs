//! Which flags there are, and what each becomes in a request.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig,
};

use super::mount::mount;
use super::values::{boolean, bytes, device, gpus, integer, mode, pair, throttle, ulimit, weight};
use crate::label;

/// Flags that say what the agent says, and where a task says it instead.
const THE_AGENTS: &[(&str, &str)] = &[
    ("attach", "the output is in the sandbox"),
    ("cgroup-parent", "it is the agent's cgroup"),
    ("cpu-period", "give the limit cpus"),
    ("cpu-quota", "give the limit cpus"),
    ("cpu-shares", "give the resource cpus"),
    ("cpus", "give the limit cpus"),
    ("detach", "the output is in the sandbox"),
    ("health-cmd", "give health_check"),
    ("interactive", "there is no input"),
    ("memory", "give the resource mem"),
    ("name", "it is mesos- and the container's id"),
    ("net", "give container.docker.network"),
    ("network", "give container.docker.network"),
    ("privileged", "give container.docker.privileged"),
    ("publish", "give container.docker.port_mappings"),
    ("publish-all", "give container.docker.port_mappings"),
    ("pull", "give container.docker.force_pull_image"),
    ("restart", "the framework starts a new task"),
    ("rm", "the agent removes it, after --docker-remove-delay"),
    ("stop-timeout", "give kill_policy.grace_period"),
    ("tty", "there is no terminal"),
];

/// Writes the flag `key` into a request.
///
/// # Errors
/// What is wrong with it, in words that begin with its name.
pub(super) fn apply(body: &mut ContainerCreateBody, key: &str, value: &str) -> Result<(), String> {
    if let Some((_, advice)) = THE_AGENTS.iter().find(|(name, _)| *name == key) {
        return Err(format!("{key} is set by the agent: {advice}"));
    }
    let known = container(body, key, value);
    let known = match known {
        Ok(false) => host(body.host_config.get_or_insert_default(), key, value),
        other => other,
    };
    match known {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{key} is no flag of docker run that this agent supports")),
        Err(problem) => Err(format!("{key}={value} {problem}")),
    }
}

/// Flags that are about the container; false for any other.
fn container(body: &mut ContainerCreateBody, key: &str, value: &str) -> Result<bool, String> {
    let text = || Some(value.to_owned());
    match key {
        "env" => {
            pair(value)?;
            push(&mut body.env, value);
        }
        "label" => {
            let (name, value) = pair(value).unwrap_or_else(|_| (value.to_owned(), String::new()));
            if name.is_empty() || name.starts_with(label::PREFIX) {
                return Err(format!(
                    "must have a name, and none that begins with {}",
                    label::PREFIX
                ));
            }
            insert(&mut body.labels, name, value);
        }
        "entrypoint" => {
            // Docker's command line forgets the image's arguments with its entry point, and an
            // empty one means none.
            body.entrypoint = Some(vec![value.to_owned()]);
        }
        "user" => body.user = text(),
        "workdir" => body.working_dir = text(),
        "hostname" => body.hostname = text(),
        "domainname" => body.domainname = text(),
        "stop-signal" => body.stop_signal = text(),
        "expose" => push(&mut body.exposed_ports, &exposed(value)?),
        "network-alias" => push(&mut endpoint(body).aliases, value),
        "ip" => {
            value.parse::<Ipv4Addr>().map_err(|_| "must be an IPv4 address")?;
            endpoint(body).ipam_config.get_or_insert_default().ipv4_address = text();
        }
        "ip6" => {
            value.parse::<Ipv6Addr>().map_err(|_| "must be an IPv6 address")?;
            endpoint(body).ipam_config.get_or_insert_default().ipv6_address = text();
        }
        "no-healthcheck" => {
            if boolean(value)? {
                let test = Some(vec!["NONE".to_owned()]);
                body.healthcheck = Some(HealthConfig { test, ..HealthConfig::default() });
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Flags that are about what it has of the host; false for any other.
fn host(host: &mut HostConfig, key: &str, value: &str) -> Result<bool, String> {
    let text = || Some(value.to_owned());
    match key {
        "volume" => {
            let parts: Vec<&str> = value.split(':').collect();
            let target = parts.get(1).is_some_and(|target| target.starts_with('/'));
            if !matches!(parts.len(), 2 | 3) || parts[0].is_empty() || !target {
                return Err("must be PATH OR NAME:PATH IN THE CONTAINER[:OPTIONS]".into());
            }
            push(&mut host.binds, value);
        }
        "volumes-from" => push(&mut host.volumes_from, value),
        "volume-driver" => host.volume_driver = text(),
        "tmpfs" => {
            let (path, options) = value.split_once(':').unwrap_or((value, ""));
            if !path.starts_with('/') {
                return Err("must be PATH[:OPTIONS], with an absolute path".into());
            }
            insert(&mut host.tmpfs, path.to_owned(), options.to_owned());
        }
        "cap-add" => push(&mut host.cap_add, value),
        "cap-drop" => push(&mut host.cap_drop, value),
        "security-opt" => push(&mut host.security_opt, value),
        "group-add" => push(&mut host.group_add, value),
        "userns" => host.userns_mode = Some(own(value)?),
        "ulimit" => host.ulimits.get_or_insert_default().push(ulimit(value)?),
        "device" => host.devices.get_or_insert_default().push(device(value)?),
        "device-cgroup-rule" => push(&mut host.device_cgroup_rules, value),
        "dns" => {
            value.parse::<std::net::IpAddr>().map_err(|_| "must be an IP address")?;
            push(&mut host.dns, value);
        }
        "dns-search" => push(&mut host.dns_search, value),
        "dns-opt" | "dns-option" => push(&mut host.dns_options, value),
        "add-host" => {
            let named = value.split_once(':').is_some_and(|(h, a)| !h.is_empty() && !a.is_empty());
            if !named {
                return Err("must be NAME:ADDRESS".into());
            }
            push(&mut host.extra_hosts, value);
        }
        "link" => push(&mut host.links, value),
        "shm-size" => host.shm_size = Some(bytes(value)?),
        "memory-swap" => {
            host.memory_swap = Some(if value == "-1" { -1 } else { bytes(value)? });
        }
        "memory-swappiness" => host.memory_swappiness = Some(integer(value)?),
        "memory-reservation" => host.memory_reservation = Some(bytes(value)?),
        "oom-kill-disable" => host.oom_kill_disable = Some(boolean(value)?),
        "oom-score-adj" => host.oom_score_adj = Some(integer(value)?),
        "pids-limit" => host.pids_limit = Some(integer(value)?),
        "cpuset-cpus" => host.cpuset_cpus = text(),
        "cpuset-mems" => host.cpuset_mems = text(),
        "blkio-weight" => {
            let weight = value.parse().map_err(|_| "must be 10 to 1000")?;
            host.blkio_weight = Some(weight);
        }
        "blkio-weight-device" => {
            host.blkio_weight_device.get_or_insert_default().push(weight(value)?);
        }
        "device-read-bps" => {
            host.blkio_device_read_bps.get_or_insert_default().push(throttle(value)?);
        }
        "device-write-bps" => {
            host.blkio_device_write_bps.get_or_insert_default().push(throttle(value)?);
        }
        "device-read-iops" => {
            host.blkio_device_read_iops.get_or_insert_default().push(throttle(value)?);
        }
        "device-write-iops" => {
            host.blkio_device_write_iops.get_or_insert_default().push(throttle(value)?);
        }
        "log-driver" => log(host).typ = text(),
        "log-opt" => {
            let (name, value) = pair(value)?;
            insert(&mut log(host).config, name, value);
        }
        "sysctl" => {
            let (name, value) = pair(value)?;
            insert(&mut host.sysctls, name, value);
        }
        "storage-opt" => {
            let (name, value) = pair(value)?;
            insert(&mut host.storage_opt, name, value);
        }
        "ipc" => {
            let plain = ["none", "private", "shareable", "host"];
            host.ipc_mode = Some(mode(value, &plain)?);
        }
        "cgroupns" => {
            host.cgroupns_mode = Some(match value {
                "host" => HostConfigCgroupnsModeEnum::HOST,
                "private" => HostConfigCgroupnsModeEnum::PRIVATE,
                _ => return Err("must be host or private".into()),
            });
        }
        "gpus" => host.device_requests.get_or_insert_default().push(gpus(value)?),
        "mount" => host.mounts.get_or_insert_default().push(mount(value)?),
        "pid" => host.pid_mode = Some(mode(value, &["host"])?),
        "uts" => host.uts_mode = Some(own(value)?),
        "init" => host.init = Some(boolean(value)?),
        "read-only" => host.readonly_rootfs = Some(boolean(value)?),
        "runtime" => host.runtime = text(),
        _ => return Ok(false),
    }
    Ok(true)
}

/// How it is connected to its network.
fn endpoint(body: &mut ContainerCreateBody) -> &mut EndpointSettings {
    let network = body.host_config.as_ref().and_then(|host| host.network_mode.clone());
    let networks = &mut body.networking_config.get_or_insert_default().endpoints_config;
    networks.get_or_insert_default().entry(network.unwrap_or_default()).or_default()
}

fn log(host: &mut HostConfig) -> &mut HostConfigLogConfig {
    host.log_config.get_or_insert_default()
}

/// The only mode that there is beside the default.
fn own(value: &str) -> Result<String, String> {
    if value == "host" { Ok(value.to_owned()) } else { Err("must be host".into()) }
}

/// `PORT[/PROTOCOL]`, as the engine writes it.
fn exposed(value: &str) -> Result<String, String> {
    let (port, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let good = port.parse::<u16>().is_ok_and(|port| port > 0);
    if !good || !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err("must be PORT or PORT/PROTOCOL".into());
    }
    Ok(format!("{port}/{protocol}"))
}

fn push(list: &mut Option<Vec<String>>, value: &str) {
    list.get_or_insert_default().push(value.to_owned());
}

fn insert(map: &mut Option<HashMap<String, String>>, name: String, value: String) {
    map.get_or_insert_default().insert(name, value);
}
