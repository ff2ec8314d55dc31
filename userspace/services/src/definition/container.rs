//! `container`.

use super::network::{self, Named};
use super::unsupported::refuse_secret;
use super::{command, ports, volumes};
use crate::app::{Container, Engine, PortDefinition};
use crate::reader::{Field, Object};

/// A container, and what it said of network and ports.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) container: Container,
    /// `docker.network`.
    pub(super) network: Option<Named>,
    /// `portMappings`, wherever they are.
    pub(super) mappings: Option<Vec<PortDefinition>>,
}

/// `container`; `None` also when it is not acceptable.
pub(super) fn read(object: &mut Object<'_>) -> Option<Described> {
    let mut container = object.field("container")?.object()?;
    let kind = container.field("type").map_or(Some("DOCKER"), |field| field.string());
    let engine = match kind {
        Some("DOCKER") => true,
        Some("MESOS") | None => false,
        Some(_) => {
            container.refuse("type", "must be MESOS or DOCKER");
            false
        }
    };
    if let Some(field) = container.field("linuxInfo") {
        field.refuse("is not supported yet: leave it out");
    }
    let mut described = Described {
        container: Container { image: None, force_pull: false, engine: None, volumes: Vec::new() },
        network: None,
        mappings: container.field("portMappings").and_then(|field| ports::read_mappings(&field)),
    };
    let volumes = container.field("volumes").map(|field| volumes::read(&field, engine));
    described.container.volumes = volumes.flatten().unwrap_or_default();
    match container.field("docker") {
        Some(field) => read_docker(&field, engine, &mut described),
        None if engine => {
            described.container.engine = Some(Engine::default());
            container.refuse("docker", "is missing; give its image");
        }
        None => {}
    }
    container.finish();
    Some(described)
}

fn read_docker(field: &Field<'_>, engine: bool, described: &mut Described) {
    let Some(mut docker) = field.object() else { return };
    described.network = network::read_old(&mut docker);
    if let Some(field) = docker.field("portMappings") {
        let old = ports::read_mappings(&field);
        match (&described.mappings, old) {
            (Some(_), Some(old)) if !old.is_empty() => {
                field.refuse("must not be given together with container.portMappings");
            }
            (None, old) => described.mappings = old,
            (Some(_), _) => {}
        }
    }
    let force_pull = docker.field("forcePullImage").and_then(|field| field.boolean());
    described.container.force_pull = force_pull == Some(true);
    let privileged = docker.field("privileged");
    let is_privileged = privileged.as_ref().and_then(Field::boolean) == Some(true);
    let parameters = docker.field("parameters");
    if engine {
        let parameters = parameters.as_ref().and_then(read_parameters).unwrap_or_default();
        described.container.engine = Some(Engine { privileged: is_privileged, parameters });
    } else {
        if is_privileged {
            docker.refuse("privileged", "needs container.type DOCKER");
        }
        if parameters.is_some_and(|field| field.array().is_some_and(|list| !list.is_empty())) {
            docker.refuse("parameters", "are Docker's own: they need container.type DOCKER");
        }
    }
    if let Some(field) = docker.field("credential") {
        field.refuse("is not supported: agents have credentials by --docker-config");
    }
    if let Some(field) = docker.field("pullConfig") {
        refuse_secret(&field, "agents have credentials by --docker-config");
    }
    described.container.image = read_image(&mut docker);
    docker.finish();
}

fn read_image(docker: &mut Object<'_>) -> Option<String> {
    let Some(field) = docker.field("image") else {
        docker.refuse("image", "is missing; give the image's name, as in \"nginx\"");
        return None;
    };
    let image = command::text(&field)?;
    if image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        field.refuse("must not contain spaces");
        return None;
    }
    Some(image)
}

fn read_parameters(field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let read = |element: &Field<'_>| {
        let mut object = element.object()?;
        let key = command::required(&mut object, "key");
        let value = object.field("value");
        if value.is_none() {
            object.refuse("value", "is missing");
        }
        let value = value.and_then(|field| field.string().map(str::to_owned));
        object.finish();
        Some((key?, value?))
    };
    let all: Vec<_> = field.array()?.iter().map(read).collect();
    all.into_iter().collect()
}
