//! `portDefinitions`, the older `ports`, and `networks`.

use std::collections::{BTreeMap, BTreeSet};

use super::{command, container, vip};
use crate::app::{PortDefinition, Protocol};
use crate::reader::{Field, Object};

/// The port definitions, and whether their numbers are host ports.
pub(super) fn read(
    object: &mut Object<'_>,
    container_names_network: bool,
) -> Option<(Vec<PortDefinition>, bool)> {
    if let Some(field) = object.field("networks") {
        container::read_networks(&field);
        if container_names_network && field.value().as_array().is_some_and(|n| !n.is_empty()) {
            field.refuse("must not be given together with container.docker.network");
        }
    }
    let require = object.field("requirePorts");
    let require = require.map_or(Some(false), |field| field.boolean());
    let old = object.field("ports").map(|field| read_numbers(&field));
    let new = object.field("portDefinitions").map(|field| read_definitions(&field));
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
    check_unique(object, &definitions);
    Some((definitions, require?))
}

fn port(number: u16) -> PortDefinition {
    PortDefinition { port: number, protocol: Protocol::Tcp, name: None, labels: BTreeMap::new() }
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
        for (key, value) in labels.entries() {
            vip::check(key, &value);
        }
    }
    let labels = command::strings(&mut object, "labels");
    object.finish();
    Some(PortDefinition { port: port?, protocol: protocol?, name, labels: labels? })
}

fn check_unique(object: &Object<'_>, definitions: &[PortDefinition]) {
    let mut names = BTreeSet::new();
    if definitions.iter().filter_map(|p| p.name.as_ref()).any(|name| !names.insert(name)) {
        object.refuse("portDefinitions", "Port names must be unique.");
    }
    let mut numbers = BTreeSet::new();
    if definitions.iter().map(|p| p.port).any(|port| port != 0 && !numbers.insert(port)) {
        object.refuse("portDefinitions", "Ports must be unique.");
    }
}
