//! A container of the engine.

use std::path::Path;

use muster_api::mesos::container_info::DockerInfo;
use muster_api::mesos::container_info::docker_info::{Network as Mode, PortMapping};
use muster_api::mesos::mount_propagation::Mode as Spread;
use muster_api::mesos::volume::Mode as Access;
use muster_api::mesos::volume::source::{DockerVolume, Type};
use muster_api::mesos::{ContainerInfo, MountPropagation, TaskInfo, Volume as Info};
use muster_containerizer::SANDBOX;
use muster_docker::{Container, Network, Parameters, Port, Protocol, Source, Volume};

use super::super::{Invalid, given, limits, refuse, uri};
use crate::agent::command::{Variables, environment};
use crate::agent::{Settings, Task};

/// What the engine is to run for `task`.
pub(super) fn container(
    settings: &Settings,
    task: &Task,
    container: &ContainerInfo,
    docker: &DockerInfo,
) -> Result<Container, Invalid> {
    let info = &task.info;
    refuse(&[
        ("executor", info.executor.is_some()),
        ("container.tty_info", container.tty_info.is_some()),
    ])?;
    for (field, given) in [
        ("container.linux_info", container.linux_info.is_some()),
        ("container.rlimit_info", container.rlimit_info.is_some()),
    ] {
        if given {
            let problem = "is not for type DOCKER: give container.docker.parameters";
            return Err(Invalid::new(field, problem));
        }
    }
    let network = network(container, docker)?;
    let command = info.command.clone().unwrap_or_default();
    let resources = limits::resources(info)?;
    if resources.gpus > 0 {
        return Err(Invalid::new("resources.gpus", "is not for type DOCKER"));
    }
    let variables = environment("command", command.environment.as_ref())?;
    if let Some((name, _)) = variables.secret.first() {
        let field = format!("command.environment.variables[{name:?}].secret");
        return Err(Invalid::new(field, "is not for type DOCKER: the engine would show it"));
    }
    let checks = [
        ("health_check.command", info.health_check.as_ref().and_then(|c| c.command.as_ref())),
        ("check.command.command", {
            let command = info.check.as_ref().and_then(|check| check.command.as_ref());
            command.map(|check| &check.command)
        }),
    ];
    for (field, check) in checks {
        let variables = environment(field, check.and_then(|check| check.environment.as_ref()))?;
        if let Some((name, _)) = variables.secret.first() {
            let field = format!("{field}.environment.variables[{name:?}].secret");
            return Err(Invalid::new(field, "is not for type DOCKER: the engine would show it"));
        }
    }
    let shell = info.command.is_some() && command.shell();
    let (entrypoint, args) = match (shell, command.value) {
        (true, Some(line)) => (Some(vec!["/bin/sh".to_owned()]), vec!["-c".to_owned(), line]),
        (true, None) => {
            let problem = "is missing, which only a command with shell: false may do";
            return Err(Invalid::new("command.value", problem));
        }
        (false, value) => (None, value.into_iter().chain(command.arguments).collect()),
    };
    let ports = ports(info, docker, &network)?;
    Ok(Container {
        id: task.container.clone(),
        agent_id: info.agent_id.value.clone(),
        framework: task.framework_id.value.clone(),
        task: info.task_id.value.clone(),
        image: docker.image.clone(),
        force_pull: docker.force_pull_image(),
        entrypoint,
        args,
        environment: variables_of(settings, task, variables, &network),
        user: command.user,
        sandbox: task.sandbox(settings),
        hostname: container.hostname.clone(),
        network,
        ports,
        privileged: docker.privileged(),
        resources,
        volumes: volumes(settings, task, container, docker)?,
        uris: command.uris.iter().map(uri).collect(),
        parameters: parameters(docker)?,
    })
}

/// What Mesos gives, then what the task gives.
fn variables_of(
    settings: &Settings,
    task: &Task,
    variables: Variables,
    network: &Network,
) -> Vec<(String, String)> {
    let outside = task.sandbox(settings);
    let mut list = given(settings, task, &outside.to_string_lossy(), SANDBOX);
    if *network != Network::Host {
        // The machine's address is not the container's.
        list.retain(|(name, _)| name != "MESOS_CONTAINER_IP");
        for (name, value) in &mut list {
            if name == "LIBPROCESS_IP" {
                "0.0.0.0".clone_into(value);
            }
        }
    }
    list.push(("MESOS_CONTAINER_NAME".to_owned(), format!("mesos-{}", task.container)));
    list.retain(|(name, _)| !variables.contains(name));
    list.extend(variables.open);
    list
}

fn network(container: &ContainerInfo, docker: &DockerInfo) -> Result<Network, Invalid> {
    let mut names = container.network_infos.iter().filter_map(|network| network.name.as_deref());
    if container.network_infos.iter().any(|network| !network.port_mappings.is_empty()) {
        let problem = "is not for type DOCKER: give container.docker.port_mappings";
        return Err(Invalid::new("container.network_infos.port_mappings", problem));
    }
    let (first, second) = (names.next(), names.next());
    if docker.network.is_some_and(|mode| Mode::try_from(mode).is_err()) {
        return Err(Invalid::new(
            "container.docker.network",
            "is none of HOST, BRIDGE, NONE, USER",
        ));
    }
    let network = match (docker.network(), first, second) {
        (Mode::User, Some(name), None) if !name.is_empty() => {
            return Ok(Network::User(name.to_owned()));
        }
        (Mode::User, ..) => {
            let problem = "must name one network for container.docker.network USER";
            return Err(Invalid::new("container.network_infos", problem));
        }
        (_, Some(_), _) => {
            let problem = "is only for container.docker.network USER";
            return Err(Invalid::new("container.network_infos.name", problem));
        }
        (Mode::Host, ..) => Network::Host,
        (Mode::Bridge, ..) => Network::Bridge,
        (Mode::None, ..) => Network::None,
    };
    Ok(network)
}

fn ports(info: &TaskInfo, docker: &DockerInfo, network: &Network) -> Result<Vec<Port>, Invalid> {
    if !docker.port_mappings.is_empty() && matches!(network, Network::Host | Network::None) {
        let problem = "are only for container.docker.network BRIDGE and USER";
        return Err(Invalid::new("container.docker.port_mappings", problem));
    }
    let ranges = info.resources.iter().filter(|resource| resource.name == "ports");
    let ranges: Vec<_> = ranges.filter_map(|r| r.ranges.as_ref()).flat_map(|r| &r.range).collect();
    let port = |(index, mapping): (usize, &PortMapping)| {
        let refuse = |field: &str, problem: String| {
            let field = format!("container.docker.port_mappings[{index}].{field}");
            Err(Invalid::new(field, problem))
        };
        let number = |number: u32| u16::try_from(number).ok().filter(|&number| number > 0);
        let Some(inside) = number(mapping.container_port) else {
            return refuse("container_port", format!("{} is no port", mapping.container_port));
        };
        let wanted = u64::from(mapping.host_port);
        let own = ranges.iter().any(|range| (range.begin..=range.end).contains(&wanted));
        let Some(outside) = number(mapping.host_port).filter(|_| own) else {
            let problem = format!("{wanted} is not among the ports of the task's resources");
            return refuse("host_port", problem);
        };
        let protocol = match mapping.protocol.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            Some(other) => return refuse("protocol", format!("{other:?} is neither tcp nor udp")),
        };
        Ok(Port { host: outside, container: inside, protocol })
    };
    docker.port_mappings.iter().enumerate().map(port).collect()
}

fn parameters(docker: &DockerInfo) -> Result<Parameters, Invalid> {
    let list = docker.parameters.iter().map(|p| (p.key.clone(), p.value.clone())).collect();
    Parameters::new(list).map_err(|invalid| {
        Invalid::new(format!("container.docker.parameters[{}]", invalid.index), invalid.problem)
    })
}

fn volumes(
    settings: &Settings,
    task: &Task,
    container: &ContainerInfo,
    docker: &DockerInfo,
) -> Result<Vec<Volume>, Invalid> {
    #[allow(deprecated)] // Mesos takes it still.
    let driver = docker.volume_driver.as_deref();
    let sandbox = task.sandbox(settings);
    let volumes = container.volumes.iter().enumerate();
    let volume =
        |(index, info)| volume(&format!("container.volumes[{index}]"), info, &sandbox, driver);
    volumes.map(volume).collect()
}

fn volume(
    field: &str,
    info: &Info,
    sandbox: &Path,
    driver: Option<&str>,
) -> Result<Volume, Invalid> {
    let refuse = |name: &str, problem: &str| Err(Invalid::new(format!("{field}.{name}"), problem));
    if info.image.is_some() {
        return refuse("image", "is not for type DOCKER");
    }
    if info.container_path.is_empty() {
        return refuse("container_path", "is empty");
    }
    let source = match (&info.source, info.host_path.as_deref()) {
        (Some(_), Some(_)) => return refuse("host_path", "and source exclude each other"),
        (None, None | Some("")) => return refuse("source", "is missing, and so is host_path"),
        (None, Some(name)) if driver.is_some() => Source::Named {
            name: name.to_owned(),
            driver: driver.map(str::to_owned),
            options: [].into(),
        },
        // What is relative is below the sandbox.
        (None, Some(path)) => Source::Host { path: sandbox.join(path), propagation: None },
        (Some(source), None) => match source.r#type() {
            Type::HostPath => {
                let Some(host) = &source.host_path else {
                    return refuse("source.host_path", "is missing");
                };
                let propagation = match host.mount_propagation.as_ref().map(MountPropagation::mode)
                {
                    None | Some(Spread::Unknown) => None,
                    Some(Spread::HostToContainer) => Some("rslave"),
                    Some(Spread::Bidirectional) => Some("rshared"),
                };
                Source::Host { path: sandbox.join(&host.path), propagation }
            }
            Type::SandboxPath => {
                let Some(below) = &source.sandbox_path else {
                    return refuse("source.sandbox_path", "is missing");
                };
                Source::Host {
                    path: sandbox.join(below.path.trim_start_matches('/')),
                    propagation: None,
                }
            }
            Type::DockerVolume => match &source.docker_volume {
                Some(volume) if !volume.name.is_empty() => named(volume),
                _ => return refuse("source.docker_volume.name", "is missing"),
            },
            Type::Unknown => return refuse("source.type", "is missing"),
            other => {
                let problem = format!("{} is not for type DOCKER", other.as_str_name());
                return refuse("source.type", &problem);
            }
        },
    };
    if let Source::Host { path, .. } = &source
        && path.components().any(|part| part == std::path::Component::ParentDir)
    {
        return refuse("host_path", "must not lead upwards");
    }
    let read_only = match Access::try_from(info.mode) {
        Ok(Access::Rw) => false,
        Ok(Access::Ro) => true,
        Err(_) => return refuse("mode", "is neither RW nor RO"),
    };
    Ok(Volume { container_path: info.container_path.clone().into(), source, read_only })
}

fn named(volume: &DockerVolume) -> Source {
    let options = volume.driver_options.iter().flat_map(|options| &options.parameter);
    Source::Named {
        name: volume.name.clone(),
        driver: volume.driver.clone(),
        options: options.map(|option| (option.key.clone(), option.value.clone())).collect(),
    }
}
