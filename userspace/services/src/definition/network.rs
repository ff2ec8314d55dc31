//! The network, in the forms there have been: `networks`, and before them
//! `container.docker.network` with `ipAddress.networkName`.

use super::command;
use crate::app::Network;
use crate::reader::{Field, Object};

/// `container.docker.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `HOST`
    Host,
    /// `BRIDGE`
    Bridge,
    /// `USER`, whose name is elsewhere.
    User,
}

/// The old form's part that is in `container.docker`.
pub(super) fn read_old(docker: &mut Object<'_>) -> Option<Named> {
    let field = docker.field("network")?;
    match field.string() {
        Some("HOST") => Some(Named::Host),
        Some("BRIDGE") => Some(Named::Bridge),
        Some("USER") => Some(Named::User),
        Some("NONE") => {
            field.refuse("NONE is not supported: use BRIDGE without portMappings");
            None
        }
        Some(_) => {
            field.refuse("must be HOST, BRIDGE or USER");
            None
        }
        None => None,
    }
}

/// The network of an application; `engine` says whether a Docker engine runs it.
pub(super) fn read(object: &mut Object<'_>, old: Option<Named>, engine: bool) -> Option<Network> {
    let name = object.field("ipAddress").map(|field| read_address(&field));
    if old.is_some_and(|old| old != Named::Host) && !engine {
        object.refuse("container/docker/network", NOT_YET);
        object.ignore(&["networks"]);
        return None;
    }
    match object.field("networks") {
        Some(field) if field.value().as_array().is_none_or(|list| !list.is_empty()) => {
            if old.is_some() {
                field.refuse("must not be given together with container.docker.network");
            }
            if name.is_some() {
                object.refuse("ipAddress", "must not be given together with networks");
            }
            read_networks(&field, engine)
        }
        _ => match (old, name) {
            (Some(Named::User), Some(name)) => name.map(Network::Container),
            (Some(Named::User), None) => {
                object.refuse(
                    "networks",
                    "must name the network: [{\"mode\": \"container\", \"name\": \"…\"}]",
                );
                None
            }
            (_, Some(_)) => {
                object.refuse("ipAddress", "needs \"network\": \"USER\" in container.docker");
                None
            }
            (Some(Named::Bridge), None) => Some(Network::Bridge),
            (Some(Named::Host) | None, None) => Some(Network::Host),
        },
    }
}

/// What keeps other containers than Docker's from networks of their own.
const NOT_YET: &str = "container networks need container.type DOCKER yet: use the host's";

/// `ipAddress.networkName`, the old form's other part.
fn read_address(field: &Field<'_>) -> Option<String> {
    let mut object = field.object()?;
    let name = command::required(&mut object, "networkName");
    object.finish();
    name
}

fn read_networks(field: &Field<'_>, engine: bool) -> Option<Network> {
    let elements = field.array()?;
    if elements.len() > 1 {
        field.refuse("can contain only one network");
    }
    let networks: Vec<_> = elements.iter().map(|element| read_network(element, engine)).collect();
    networks.into_iter().next().flatten()
}

fn read_network(field: &Field<'_>, engine: bool) -> Option<Network> {
    let mut network = field.object()?;
    let name = network.field("name").map(|name| command::text(&name));
    let labels = network.field("labels").and_then(|labels| labels.object());
    if labels.is_some_and(|labels| !labels.entries().is_empty()) {
        network.refuse("labels", "are not supported yet: leave them out");
    }
    let mode = network.field("mode");
    let mode_name = mode.as_ref().map_or(Some("container"), Field::string)?;
    let read = match (mode_name, name) {
        ("host" | "container/bridge", Some(_)) => {
            network.refuse("name", format!("must not be given in {mode_name} mode"));
            None
        }
        ("host", None) => Some(Network::Host),
        ("container" | "container/bridge", _) if !engine => {
            network.refuse("mode", NOT_YET);
            None
        }
        ("container/bridge", None) => Some(Network::Bridge),
        ("container", Some(name)) => name.map(Network::Container),
        ("container", None) => {
            network.refuse("name", "is missing; which network of the engine's?");
            None
        }
        _ => {
            network.refuse("mode", "must be host, container/bridge or container");
            None
        }
    };
    network.finish();
    read
}
