//! How a task is found: its name and ports, with the labels that ask for VIPs.

use muster_api::mesos::{DiscoveryInfo, Label, Port, Ports, discovery_info};

use crate::app::App;
use crate::instance::Instance;

/// The discovery information of `instance`: one port for each protocol of each port
/// definition, in the scope of the host if it has a port there.
pub(super) fn info(app: &App, instance: &Instance) -> DiscoveryInfo {
    let ports = app.spec.ports.iter().zip(&instance.host_ports);
    let ports = ports.flat_map(|(definition, number)| {
        definition.protocol.each().map(|protocol| {
            let mut labels = super::labels(&definition.labels);
            let (number, scope) = match *number {
                0 => (definition.inside(0), "container"),
                number => (number, "host"),
            };
            let scope = Label { key: "network-scope".into(), value: Some(scope.into()) };
            labels.labels.push(scope);
            Port {
                number: number.into(),
                name: definition.name.clone(),
                protocol: Some(protocol.into()),
                labels: Some(labels),
                ..Default::default()
            }
        })
    });
    DiscoveryInfo {
        visibility: discovery_info::Visibility::Framework.into(),
        name: Some(app.id.reversed()),
        ports: Some(Ports { ports: ports.collect() }),
        ..Default::default()
    }
}
