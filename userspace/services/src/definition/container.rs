//! `container`, and the networks it may name.

use crate::app::Container;
use crate::reader::{Field, Object};

/// A container, and whether it said which network it is on.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) container: Container,
    pub(super) names_network: bool,
}

/// `container`; `None` also when it is not acceptable.
pub(super) fn read(object: &mut Object<'_>) -> Option<Described> {
    let mut container = object.field("container")?.object()?;
    let kind = container.field("type").map_or(Some("DOCKER"), |field| field.string());
    match kind {
        Some("DOCKER") => container.refuse(
            "type",
            "DOCKER is not supported yet: give MESOS, which runs Docker images without Docker",
        ),
        Some("MESOS") | None => {}
        Some(_) => container.refuse("type", "must be MESOS"),
    }
    refuse_unless_empty(
        &mut container,
        "volumes",
        "is not supported yet: keep data in the sandbox, the directory $MESOS_SANDBOX",
    );
    refuse_unless_empty(
        &mut container,
        "portMappings",
        "is not allowed with host networking: use portDefinitions",
    );
    if let Some(field) = container.field("linuxInfo") {
        field.refuse("is not supported yet: leave it out");
    }
    let mut names_network = false;
    let image = container.field("docker").and_then(|field| {
        let mut docker = field.object()?;
        names_network = read_docker_network(&mut docker);
        let image = read_docker(&mut docker);
        docker.finish();
        image
    });
    container.finish();
    Some(Described { container: Container { image }, names_network })
}

fn read_docker(docker: &mut Object<'_>) -> Option<String> {
    refuse_unless_empty(
        docker,
        "portMappings",
        "is not allowed with host networking: use portDefinitions",
    );
    refuse_unless_empty(docker, "parameters", "is not supported yet: they are Docker's own");
    for (name, advice) in [
        ("forcePullImage", "images come from the agents' local image stores"),
        ("privileged", "containers run with Docker's default capabilities"),
    ] {
        if let Some(field) = docker.field(name)
            && field.boolean() == Some(true)
        {
            field.refuse(format!("is not supported yet: {advice}"));
        }
    }
    for name in ["credential", "pullConfig"] {
        if let Some(field) = docker.field(name) {
            field.refuse("is not supported yet: images come from the agents' local image stores");
        }
    }
    let Some(field) = docker.field("image") else {
        docker.refuse("image", "is missing; give the image's name, as in \"nginx\"");
        return None;
    };
    let image = super::command::text(&field)?;
    if image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        field.refuse("must not contain spaces");
        return None;
    }
    Some(image)
}

/// Whether `docker.network` is there; refuses all but the host's.
fn read_docker_network(docker: &mut Object<'_>) -> bool {
    let Some(field) = docker.field("network") else { return false };
    match field.string() {
        Some("HOST") | None => {}
        Some("BRIDGE" | "USER" | "NONE") => {
            field.refuse("container networks are not supported yet: use HOST, or leave it out");
        }
        Some(_) => field.refuse("must be HOST"),
    }
    true
}

/// `networks`: only the host's.
pub(super) fn read_networks(field: &Field<'_>) {
    for element in field.array().into_iter().flatten() {
        let Some(mut network) = element.object() else { continue };
        let mode = network.field("mode").map_or(Some("container"), |mode| mode.string());
        match mode {
            Some("host") => {
                if let Some(name) = network.field("name") {
                    name.refuse("must not be given in host mode");
                }
            }
            Some("container" | "container/bridge") => network.refuse(
                "mode",
                "container networks are not supported yet: use \"host\", or leave networks out",
            ),
            Some(_) => network.refuse("mode", "must be \"host\""),
            None => {}
        }
        network.ignore(&["name", "labels"]);
        network.finish();
    }
}

/// Refuses a list or object that is not empty.
pub(super) fn refuse_unless_empty(object: &mut Object<'_>, name: &'static str, error: &str) {
    let Some(field) = object.field(name) else { return };
    let empty = match field.value() {
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !empty {
        field.refuse(error);
    }
}
