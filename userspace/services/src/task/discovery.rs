//! How a task is found: its name and ports, with the labels that ask for VIPs.

use muster_api::mesos::{DiscoveryInfo, Label, Port, Ports, discovery_info};

use crate::app::App;
use crate::instance::Instance;

/// The discovery information of `instance`: one port for each protocol of each port
/// definition, all in the scope of the host.
pub(super) fn info(app: &App, instance: &Instance) -> DiscoveryInfo {
    let ports = app.spec.ports.iter().zip(&instance.host_ports);
    let ports = ports.flat_map(|(definition, number)| {
        definition.protocol.each().map(|protocol| {
            let mut labels = super::labels(&definition.labels);
            let scope = Label { key: "network-scope".into(), value: Some("host".into()) };
            labels.labels.push(scope);
            Port {
                number: u32::from(*number),
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
