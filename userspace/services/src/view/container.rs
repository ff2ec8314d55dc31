//! What applications run in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::app::{Container, Network, PortDefinition, Spec, Volume, VolumeSource};

/// `container`.
pub(super) fn describe(container: &Container, spec: &Spec) -> Value {
    let mut value = json!({
        "type": if container.engine.is_some() { "DOCKER" } else { "MESOS" },
        "volumes": container.volumes.iter().map(volume).collect::<Vec<_>>(),
    });
    if let Some(image) = &container.image {
        let mut docker = json!({
            "image": image, "forcePullImage": container.force_pull, "parameters": [],
        });
        if let Some(engine) = &container.engine {
            let parameters = engine.parameters.iter();
            let parameters = parameters.map(|(key, value)| json!({ "key": key, "value": value }));
            docker["parameters"] = parameters.collect();
            docker["privileged"] = json!(engine.privileged);
        }
        value["docker"] = docker;
    }
    if spec.network != Network::Host {
        value["portMappings"] = spec.ports.iter().filter_map(mapping).collect();
    }
    value
}

/// `networks`.
pub(super) fn networks(network: &Network) -> Value {
    match network {
        Network::Host => json!([{ "mode": "host" }]),
        Network::Bridge => json!([{ "mode": "container/bridge" }]),
        Network::Container(name) => json!([{ "mode": "container", "name": name }]),
    }
}

fn mapping(port: &PortDefinition) -> Option<Value> {
    let mapping = port.mapping?;
    let mut value = json!({
        "containerPort": mapping.container_port,
        "protocol": port.protocol.as_str(),
        "servicePort": port.port,
        "labels": port.labels,
    });
    if let Some(host_port) = mapping.host_port {
        value["hostPort"] = json!(host_port);
    }
    if let Some(name) = &port.name {
        value["name"] = json!(name);
    }
    Some(value)
}

fn volume(volume: &Volume) -> Value {
    let mut value = json!({
        "containerPath": volume.container_path,
        "mode": if volume.read_only { "RO" } else { "RW" },
    });
    match &volume.source {
        VolumeSource::Host(path) => value["hostPath"] = json!(path),
        VolumeSource::External { name, driver, options } => {
            let named = options.iter().map(|(name, value)| (format!("dvdi/{name}"), value.clone()));
            let own = ("dvdi/driver".to_owned(), driver.clone());
            let options: BTreeMap<_, _> = named.chain([own]).collect();
            value["external"] = json!({ "name": name, "provider": "dvdi", "options": options });
        }
    }
    value
}
