//! `portDefinitions`, the older `ports`, and `portMappings`.

use std::collections::{BTreeMap, BTreeSet};

use super::{command, vip};
use crate::app::{Mapping, Network, PortDefinition, Protocol};
use crate::reader::{Field, Object};

/// The ports, and whether their numbers are host ports.
pub(super) fn read(
    object: &mut Object<'_>,
    network: Option<&Network>,
    mappings: Option<Vec<PortDefinition>>,
) -> Option<(Vec<PortDefinition>, bool)> {
    let require = object.field("requirePorts");
    let require = require.map_or(Some(false), |field| field.boolean());
    let old = object.field("ports").map(|field| read_numbers(&field));
    let new = object.field("portDefinitions").map(|field| read_definitions(&field));
    // What goes with a network that makes no sense cannot be said.
    let Some(network) = network else {
        return Some((mappings.or(new.flatten()).or(old.flatten()).unwrap_or_default(), false));
    };
    if *network != Network::Host {
        for (name, given) in [("ports", &old), ("portDefinitions", &new)] {
            if given.as_ref().is_some_and(|ports| ports.as_ref().is_none_or(|p| !p.is_empty())) {
                let problem = "is only for host networking: use container.portMappings";
                object.refuse(name, problem);
            }
        }
        if require == Some(true) {
            object.refuse("requirePorts", "is only for host networking: give hostPort");
        }
        let mut mappings = mappings.unwrap_or_default();
        if *network == Network::Bridge {
            // A bridge's addresses lead nowhere from outside.
            for mapping in mappings.iter_mut().filter_map(|port| port.mapping.as_mut()) {
                mapping.host_port.get_or_insert(0);
            }
        }
        check_mappings(object, &mappings);
        return Some((mappings, false)).filter(|_| require.is_some());
    }
    if mappings.is_some_and(|mappings| !mappings.is_empty()) {
        let problem = "is not allowed with host networking: use portDefinitions";
        object.refuse("container/portMappings", problem);
    }
    let definitions = match (old, new) {
        (None, None) => vec![PortDefinition { name: Some("default".into()), ..port(0) }],
        (Some(old), None) => old?,
        (None, Some(new)) => new?,
        (Some(old), Some(new)) => {
            let (old, new) = (old?, new?);
            // A fetched application that is sent back has both.
            if !old.iter().map(|p| p.port).eq(new.iter().map(|p| p.port)) && !old.is_empty() {
                object.refuse("ports", "cannot specify both ports and port definitions");
            }
            new
        }
    };
    check_unique(object, "portDefinitions", &definitions);
    Some((definitions, require?))
}

/// `portMappings`.
pub(super) fn read_mappings(field: &Field<'_>) -> Option<Vec<PortDefinition>> {
    let mappings: Vec<_> = field.array()?.iter().map(read_mapping).collect();
    mappings.into_iter().collect()
}

fn read_mapping(field: &Field<'_>) -> Option<PortDefinition> {
    let mut object = field.object()?;
    let container_port = object.field("containerPort").map_or(Some(0), |field| number(&field));
    let host_port = object.field("hostPort").map(|field| number(&field));
    let service_port = object.field("servicePort").map_or(Some(0), |field| number(&field));
    if object.field("networkNames").is_some_and(|field| field.array().is_none_or(|n| !n.is_empty()))
    {
        object.refuse("networkNames", "is not needed: an application has only one network");
    }
    let common = read_common(&mut object);
    object.finish();
    let (container_port, host_port) =
        (container_port?, host_port.map_or(Some(None), |p| p.map(Some))?);
    if container_port == 0 && host_port.is_none() {
        field.refuse("must give containerPort or hostPort");
    }
    let mapping = Some(Mapping { container_port, host_port });
    Some(PortDefinition { port: service_port?, mapping, ..common? })
}

/// Host ports must differ, and what is the same in the container too.
fn check_mappings(object: &Object<'_>, mappings: &[PortDefinition]) {
    check_unique(object, "container/portMappings", mappings);
    let mut numbers = BTreeSet::new();
    let fixed = mappings.iter().filter_map(|p| p.mapping?.host_port).filter(|port| *port != 0);
    if fixed.into_iter().any(|port| !numbers.insert(port)) {
        object.refuse("container/portMappings", "Host ports must be unique.");
    }
}

fn port(number: u16) -> PortDefinition {
    let (protocol, labels) = (Protocol::Tcp, BTreeMap::new());
    PortDefinition { port: number, protocol, name: None, labels, mapping: None }
}

fn number(field: &Field<'_>) -> Option<u16> {
    field.integer(0, u16::MAX.into()).and_then(|number| u16::try_from(number).ok())
}

fn read_numbers(field: &Field<'_>) -> Option<Vec<PortDefinition>> {
    let numbers: Vec<_> = field.array()?.iter().map(number).collect();
    numbers.into_iter().map(|number| number.map(port)).collect()
}

fn read_definitions(field: &Field<'_>) -> Option<Vec<PortDefinition>> {
    // All of them are read before any is missed: every mistake is to be named.
    let definitions: Vec<_> = field.array()?.iter().map(read_definition).collect();
    definitions.into_iter().collect()
}

fn read_definition(field: &Field<'_>) -> Option<PortDefinition> {
    let mut object = field.object()?;
    let port = object.field("port").map_or(Some(0), |field| number(&field));
    let common = read_common(&mut object);
    object.finish();
    Some(PortDefinition { port: port?, ..common? })
}

/// Protocol, name and labels.
fn read_common(object: &mut Object<'_>) -> Option<PortDefinition> {
    let protocol = match object.field("protocol") {
        None => Some(Protocol::Tcp),
        Some(field) => match field.string() {
            Some("tcp") => Some(Protocol::Tcp),
            Some("udp") => Some(Protocol::Udp),
            Some("udp,tcp" | "tcp,udp") => Some(Protocol::UdpTcp),
            Some(_) => {
                field.refuse("must be \"tcp\", \"udp\" or \"udp,tcp\"");
                None
            }
            None => None,
        },
    };
    let name = object.field("name").and_then(|field| {
        let name = field.string()?;
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty()
            || !name.bytes().all(inner)
            || name.starts_with('-')
            || name.ends_with('-')
        {
            field.refuse("may only hold lowercase letters, digits and inner hyphens");
        }
        Some(name.to_owned())
    });
    if let Some(labels) = object.field("labels").and_then(|field| field.object()) {
        vip::check(&labels);
    }
    let labels = command::strings(object, "labels");
    Some(PortDefinition { protocol: protocol?, name, labels: labels?, ..port(0) })
}

fn check_unique(object: &Object<'_>, field: &str, definitions: &[PortDefinition]) {
    let mut names = BTreeSet::new();
    if definitions.iter().filter_map(|p| p.name.as_ref()).any(|name| !names.insert(name)) {
        object.refuse(field, "Port names must be unique.");
    }
    let mut numbers = BTreeSet::new();
    if definitions.iter().map(|p| p.port).any(|port| port != 0 && !numbers.insert(port)) {
        object.refuse(field, "Ports must be unique.");
    }
}
