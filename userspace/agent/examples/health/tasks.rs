//! The tasks whose VIPs are watched.

use std::net::Ipv4Addr;

use muster_api::mesos::scheduler::{Call, call};
use muster_api::mesos::{
    CommandInfo, DiscoveryInfo, Filters, HealthCheck, Label, Labels, Offer, Port, Ports, TaskInfo,
    offer,
};
use muster_resources::Resources;

use crate::Failure;
use crate::settings::Settings;

/// The first port of backends.
const PORT: usize = 20_000;

/// The address of VIP number `vip`, of port 80.
pub(crate) fn address(vip: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(vip).unwrap_or(u32::MAX).to_be_bytes();
    Ipv4Addr::new(10, 250, high, low)
}

/// The id of backend number `backend` of VIP number `vip`.
pub(crate) fn id(vip: usize, backend: usize) -> String {
    format!("{vip}.{backend}")
}

/// Launches all of them on what was offered.
pub(crate) fn launch(offer: &Offer, settings: &Settings) -> Result<Call, Failure> {
    let mut infos = Vec::new();
    for vip in 0..settings.vips {
        for backend in 0..settings.backends {
            infos.push(task(offer, vip, backend)?);
        }
    }
    let mut operation = offer::Operation {
        launch: Some(offer::operation::Launch { task_infos: infos }),
        ..offer::Operation::default()
    };
    operation.set_type(offer::operation::Type::Launch);
    let mut call = Call {
        framework_id: Some(offer.framework_id.clone()),
        accept: Some(call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![operation],
            filters: Some(Filters { refuse_seconds: Some(1e6) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Accept);
    Ok(call)
}

fn task(offer: &Offer, vip: usize, backend: usize) -> Result<TaskInfo, Failure> {
    let label = Label { key: "VIP_0".into(), value: Some(format!("{}:80", address(vip))) };
    let port = Port {
        number: u32::try_from(PORT + backend)?,
        protocol: Some("tcp".into()),
        labels: Some(Labels { labels: vec![label] }),
        ..Port::default()
    };
    Ok(TaskInfo {
        name: "backend".into(),
        task_id: id(vip, backend).as_str().into(),
        agent_id: offer.agent_id.clone(),
        resources: Resources::parse("cpus:0.01;mem:1")?.to_proto(),
        command: Some(CommandInfo { value: Some("true".into()), ..CommandInfo::default() }),
        health_check: Some(HealthCheck::default()),
        discovery: Some(DiscoveryInfo {
            ports: Some(Ports { ports: vec![port] }),
            ..DiscoveryInfo::default()
        }),
        ..TaskInfo::default()
    })
}
