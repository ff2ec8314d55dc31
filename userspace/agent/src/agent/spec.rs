//! What a task asks for, as a container.

mod docker;
mod limits;
mod linux;
mod operated;
#[cfg(test)]
mod tests;
mod volumes;

use std::fmt;

use muster_api::mesos::{
    self, ContainerInfo, TaskInfo, TtyInfo, command_info, container_info, image,
};
use muster_containerizer::{ContainerSpec, SANDBOX, Secret, Uri, WindowSize, split_id};

pub(crate) use limits::promised;
pub(crate) use operated::{Operated, operated};

use super::command::{Variables, command, environment};
use super::{Settings, Task};
pub(crate) use docker::workload;

/// A field of a task that makes no sense or asks for something not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    field: String,
    problem: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

/// The container for `task`.
///
/// # Errors
/// The first field that cannot be had: nothing that a task asks for is left out silently.
pub(crate) fn spec(settings: &Settings, task: &Task) -> Result<ContainerSpec, Invalid> {
    let info = &task.info;
    refuse(&[("executor", info.executor.is_some() && !task.inside)])?;
    let mut spec = wanted(info)?;
    let sandbox = task.sandbox(settings);
    let outside = sandbox.to_string_lossy();
    // Without an image the container has the machine's own root.
    let inside = if spec.image.is_some() { SANDBOX } else { &outside };
    let mut environment = given(settings, task, &outside, inside);
    // The task's own settings win over what it is given.
    environment.retain(|(name, _)| {
        !spec.environment.iter().any(|(own, _)| own == name)
            && !spec.secrets.iter().any(|(own, _)| own == name)
    });
    environment.append(&mut spec.environment);
    spec.environment = environment;
    spec.id.clone_from(&task.container);
    spec.sandbox = sandbox;
    Ok(spec)
}

/// What the command, the container, the resources and the limits of `info` ask for, without a
/// name and a place.
fn wanted(info: &TaskInfo) -> Result<ContainerSpec, Invalid> {
    let image = info.container.as_ref().map_or(Ok(None), image)?;
    let (image, config, force_pull) = match image {
        Some(Wanted { name, config, force_pull }) => (Some(name), config, force_pull),
        None => (None, None, false),
    };
    let (command, args, user, variables) = match &info.command {
        None => (None, Vec::new(), None, Variables::default()),
        Some(info) => {
            let spec = command("command", info)?;
            let args = if spec.is_none() { info.arguments.clone() } else { Vec::new() };
            (spec, args, info.user.clone(), environment("command", info.environment.as_ref())?)
        }
    };
    if command.is_none() && image.is_none() {
        return Err(Invalid::new(
            "command.value",
            "is missing, and there is no image to take it from",
        ));
    }
    let mut spec = ContainerSpec {
        image,
        image_config: config,
        force_pull,
        command,
        args,
        environment: variables.open,
        user,
        uris: info.command.iter().flat_map(|command| &command.uris).map(uri).collect(),
        hostname: info.container.as_ref().and_then(|container| container.hostname.clone()),
        secrets: variables.secret,
        resources: limits::resources(info)?,
        ..ContainerSpec::default()
    };
    if let Some(container) = &info.container {
        spec.volumes = volumes::volumes(&container.volumes)?;
        if let Some(limits) = &container.rlimit_info {
            spec.rlimits = linux::rlimits(limits)?;
        }
        if let Some(info) = &container.linux_info {
            linux::apply(info, &mut spec)?;
        }
        let terminal = |info| terminal("container.tty_info", info);
        spec.tty = container.tty_info.as_ref().map(terminal).transpose()?;
    }
    Ok(spec)
}

/// Nests the container that `info` asks for in another, as `name` says.
pub(crate) fn nest(spec: &mut ContainerSpec, name: &str, info: &TaskInfo) -> Result<(), Invalid> {
    let linux = info.container.as_ref().and_then(|info| info.linux_info.as_ref());
    spec.own_cgroups = linux.is_some_and(|linux| !linux.share_cgroups());
    if !spec.own_cgroups {
        if !info.limits.is_empty() {
            let problem = "goes only with container.linux_info.share_cgroups false";
            return Err(Invalid::new("limits", problem));
        }
        spec.resources = muster_containerizer::Resources::default();
    }
    let (parent, id) = split_id(name);
    (spec.parent, spec.id) = (parent.map(str::to_owned), id.to_owned());
    spec.sandbox = std::path::PathBuf::new();
    Ok(())
}

/// The size of a terminal; `field` is what `info` is called. As in Mesos, one that is not said is that of a new terminal: none.
pub(crate) fn terminal(field: &str, info: &TtyInfo) -> Result<WindowSize, Invalid> {
    let size = info.window_size.unwrap_or_default();
    let number = |name: &str, number: u32| {
        let field = || format!("{field}.window_size.{name}");
        u16::try_from(number).map_err(|_| Invalid::new(field(), "is more than 65535"))
    };
    Ok(WindowSize { rows: number("rows", size.rows)?, columns: number("columns", size.columns)? })
}

/// The variables Mesos gives every task.
fn given(settings: &Settings, task: &Task, outside: &str, inside: &str) -> Vec<(String, String)> {
    let address = settings.address;
    let port = settings.port;
    let id = task.executor_id();
    [
        ("MESOS_SANDBOX", inside.to_owned()),
        ("MESOS_DIRECTORY", outside.to_owned()),
        ("MESOS_FRAMEWORK_ID", task.framework_id.value.clone()),
        ("MESOS_EXECUTOR_ID", id.to_owned()),
        ("MESOS_SLAVE_ID", task.info.agent_id.value.clone()),
        ("MESOS_SLAVE_PID", format!("slave(1)@{}", std::net::SocketAddr::new(address, port))),
        ("MESOS_AGENT_ENDPOINT", std::net::SocketAddr::new(address, port).to_string()),
        ("MESOS_CHECKPOINT", "1".to_owned()),
        ("MESOS_CONTAINER_IP", address.to_string()),
        ("LIBPROCESS_IP", address.to_string()),
        ("LIBPROCESS_PORT", "0".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// A file that a task wants. Whether it can be had is the fetcher's to say.
fn uri(uri: &command_info::Uri) -> Uri {
    Uri {
        value: uri.value.clone(),
        executable: uri.executable(),
        extract: uri.extract(),
        cache: uri.cache(),
        output_file: uri.output_file.as_ref().map(Into::into),
    }
}

/// An image that a task wants.
struct Wanted {
    name: String,
    config: Option<Secret>,
    force_pull: bool,
}

/// The image, if there is one.
fn image(container: &ContainerInfo) -> Result<Option<Wanted>, Invalid> {
    let kind = container_info::Type::try_from(container.r#type).ok();
    if kind != Some(container_info::Type::Mesos) {
        return Err(Invalid::new(
            "container.type",
            "must be MESOS: an executor is not run by Docker (its image goes in container.mesos.image)",
        ));
    }
    refuse(&[
        ("container.docker", container.docker.is_some()),
        (
            "container.network_infos",
            container
                .network_infos
                .iter()
                .any(|network| network.name.is_some() || !network.port_mappings.is_empty()),
        ),
    ])?;
    let Some(image) = container.mesos.as_ref().and_then(|mesos| mesos.image.as_ref()) else {
        return Ok(None);
    };
    image_of("container.mesos.image", image).map(Some)
}

/// The image that a `field` names.
fn image_of(field: &str, image: &mesos::Image) -> Result<Wanted, Invalid> {
    let invalid = |name: &str, problem: &str| Err(Invalid::new(format!("{field}.{name}"), problem));
    let docker = match image::Type::try_from(image.r#type) {
        Ok(image::Type::Docker) => image.docker.as_ref(),
        _ => return invalid("type", "must be DOCKER"),
    };
    let Some(docker) = docker else {
        return invalid("docker", "is missing");
    };
    #[allow(deprecated)] // It must be refused all the same.
    refuse(&[(&format!("{field}.docker.credential"), docker.credential.is_some())])?;
    if docker.name.is_empty() {
        return invalid("docker.name", "is empty");
    }
    let config = docker.config.as_ref();
    let config = config.map(|secret| self::config(field, secret)).transpose()?;
    Ok(Wanted { name: docker.name.clone(), config, force_pull: !image.cached() })
}

/// Docker's `config.json` that a secret holds by value.
fn config(field: &str, secret: &mesos::Secret) -> Result<Secret, Invalid> {
    let field = format!("{field}.docker.config");
    let data = secret.value.as_ref().map(|value| value.data.clone());
    let Some(data) = data else {
        let problem = "has no value; this agent knows no store to look a reference up in";
        return Err(Invalid::new(field, problem));
    };
    match String::from_utf8(data) {
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err(Invalid::new(field, "is not text")),
    }
}

fn refuse(fields: &[(&str, bool)]) -> Result<(), Invalid> {
    match fields.iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(Invalid::new(*field, "is not supported by this agent")),
        None => Ok(()),
    }
}
