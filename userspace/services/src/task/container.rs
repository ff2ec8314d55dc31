//! What a task runs in, as the protocol has it.

use muster_api::mesos::container_info::docker_info::{Network as Mode, PortMapping};
use muster_api::mesos::container_info::{DockerInfo, MesosInfo, Type};
use muster_api::mesos::volume::{self, Source, source};
use muster_api::mesos::{
    ContainerInfo, Image, NetworkInfo, Parameter, Parameters, TtyInfo, Volume, image,
};

use crate::app::{self, Container, Engine, Network, Spec, VolumeSource};
use crate::instance::Instance;

/// The container of `instance`, if it is in more than a plain one.
pub(super) fn info(spec: &Spec, instance: &Instance) -> Option<ContainerInfo> {
    let container = spec.container.as_ref().map(|container| of(container, spec, instance));
    if !spec.tty {
        return container;
    }
    let plain = || ContainerInfo { r#type: Type::Mesos.into(), ..Default::default() };
    let tty_info = Some(TtyInfo::default());
    Some(ContainerInfo { tty_info, ..container.unwrap_or_else(plain) })
}

fn of(container: &Container, spec: &Spec, instance: &Instance) -> ContainerInfo {
    let volumes = container.volumes.iter().map(volume).collect();
    match &container.engine {
        None => ContainerInfo {
            r#type: Type::Mesos.into(),
            mesos: Some(MesosInfo { image: container.image.as_ref().map(|i| image(i, container)) }),
            volumes,
            ..Default::default()
        },
        Some(engine) => ContainerInfo {
            r#type: Type::Docker.into(),
            docker: Some(docker(container, engine, spec, instance)),
            network_infos: match &spec.network {
                Network::Container(name) => {
                    vec![NetworkInfo { name: Some(name.clone()), ..Default::default() }]
                }
                Network::Host | Network::Bridge => Vec::new(),
            },
            volumes,
            ..Default::default()
        },
    }
}

fn image(name: &str, container: &Container) -> Image {
    Image {
        r#type: image::Type::Docker.into(),
        docker: Some(image::Docker { name: name.to_owned(), ..Default::default() }),
        cached: Some(!container.force_pull),
        ..Default::default()
    }
}

fn docker(container: &Container, engine: &Engine, spec: &Spec, instance: &Instance) -> DockerInfo {
    let mode = match spec.network {
        Network::Host => Mode::Host,
        Network::Bridge => Mode::Bridge,
        Network::Container(_) => Mode::User,
    };
    let mapped = spec.ports.iter().zip(&instance.host_ports);
    let mapped = mapped.filter(|(port, number)| port.mapping.is_some() && **number != 0);
    let mappings = mapped.flat_map(|(port, &number)| {
        port.protocol.each().map(move |protocol| PortMapping {
            host_port: number.into(),
            container_port: port.inside(number).into(),
            protocol: Some(protocol.into()),
        })
    });
    DockerInfo {
        image: container.image.clone().unwrap_or_default(),
        network: Some(mode.into()),
        port_mappings: mappings.collect(),
        privileged: Some(engine.privileged),
        parameters: engine.parameters.iter().map(parameter).collect(),
        force_pull_image: Some(container.force_pull),
        ..Default::default()
    }
}

fn parameter((key, value): &(String, String)) -> Parameter {
    Parameter { key: key.clone(), value: value.clone() }
}

fn volume(volume: &app::Volume) -> Volume {
    let mode = if volume.read_only { volume::Mode::Ro } else { volume::Mode::Rw };
    let (host_path, source) = match &volume.source {
        VolumeSource::Host(path) => (Some(path.clone()), None),
        VolumeSource::External { name, driver, options } => {
            let options = options.iter().map(parameter).collect::<Vec<_>>();
            let volume = source::DockerVolume {
                driver: Some(driver.clone()),
                name: name.clone(),
                driver_options: (!options.is_empty()).then_some(Parameters { parameter: options }),
            };
            let source = Source {
                r#type: Some(source::Type::DockerVolume.into()),
                docker_volume: Some(volume),
                ..Default::default()
            };
            (None, Some(source))
        }
    };
    let container_path = volume.container_path.clone();
    Volume { mode: mode.into(), container_path, host_path, source, ..Default::default() }
}
