//! Where a task's ports are reached, by DC/OS's rules.

use std::net::{IpAddr, SocketAddr};

use muster_api::mesos::{ContainerInfo, Port, TaskInfo, TaskStatus};
use muster_api::muster::Protocol;

/// The label that says whose ports a port of the discovery information is one of.
const SCOPE: &str = "network-scope";

/// What a task's ports are reached by.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// Its agent's.
    agent: IpAddr,
    /// Its own; its agent's if it shares that's network.
    own: Vec<IpAddr>,
    mappings: Vec<Mapping>,
}

/// A port of the agent that leads to one of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    protocol: Protocol,
    host: u16,
    inside: u16,
}

impl Reach {
    /// That of a task in its latest status, on an agent with this address.
    pub(super) fn of(task: &TaskInfo, status: &TaskStatus, agent: IpAddr) -> Self {
        let told = status.container_status.as_ref().map_or(&[][..], |place| &place.network_infos);
        let addresses = told.iter().flat_map(|network| &network.ip_addresses);
        let parsed = addresses.filter_map(|address| address.ip_address().parse().ok());
        let mut own: Vec<IpAddr> = parsed.filter(is_reachable).collect();
        own.dedup();
        if told.is_empty() {
            own.push(agent);
        }
        let mut mappings = task.container.as_ref().map(mapped).unwrap_or_default();
        for mapping in told.iter().flat_map(|network| &network.port_mappings) {
            mappings.extend(read(
                mapping.protocol.as_deref(),
                mapping.host_port,
                mapping.container_port,
            ));
        }
        Self { agent, own, mappings }
    }

    /// Where a host port is reached.
    pub(super) const fn host(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.agent, port)
    }

    /// Where a port of the discovery information is reached: at the agent's, if it is a host port or has
    /// one, otherwise at each address of the task.
    pub(super) fn port(&self, port: &Port, protocol: Protocol, number: u16) -> Vec<SocketAddr> {
        let labels = port.labels.iter().flat_map(|labels| &labels.labels);
        // The last is the scheduler's own.
        let scope =
            labels.rev().find(|label| label.key == SCOPE).map(muster_api::mesos::Label::value);
        let of = |mapping: &&Mapping| mapping.protocol == protocol && mapping.inside == number;
        let mapped = self.mappings.iter().find(of).map(|mapping| mapping.host);
        // DC/OS took a port without a scope for a host port first, and for a container's later.
        let is_host = match scope {
            Some("host") => true,
            Some("container") => false,
            _ => mapped.is_none() && self.mappings.iter().any(|mapping| mapping.host == number),
        };
        match mapped.filter(|_| scope != Some("host")).or(is_host.then_some(number)) {
            Some(host) => vec![self.host(host)],
            None => self.own.iter().map(|own| SocketAddr::new(*own, number)).collect(),
        }
    }
}

fn mapped(container: &ContainerInfo) -> Vec<Mapping> {
    let docker = container.docker.iter().flat_map(|docker| &docker.port_mappings);
    let docker = docker.map(|m| (m.protocol.as_deref(), m.host_port, m.container_port));
    let networks = container.network_infos.iter().flat_map(|network| &network.port_mappings);
    let networks = networks.map(|m| (m.protocol.as_deref(), m.host_port, m.container_port));
    docker
        .chain(networks)
        .filter_map(|(protocol, host, inside)| read(protocol, host, inside))
        .collect()
}

/// A mapping, if there is a host port and VIPs are for its protocol.
fn read(protocol: Option<&str>, host: u32, inside: u32) -> Option<Mapping> {
    let port = |number: u32| u16::try_from(number).ok().filter(|number| *number > 0);
    Some(Mapping { protocol: super::protocol(protocol)?, host: port(host)?, inside: port(inside)? })
}

/// Whether an address can lead from one machine to another.
fn is_reachable(address: &IpAddr) -> bool {
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_local || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::container_info::{DockerInfo, docker_info::PortMapping};
    use muster_api::mesos::{ContainerStatus, Label, Labels, NetworkInfo, network_info};

    use super::*;

    fn status(addresses: &[&str]) -> TaskStatus {
        let address = |text: &&str| network_info::IpAddress {
            protocol: None,
            ip_address: Some((*text).to_owned()),
        };
        let network = NetworkInfo {
            ip_addresses: addresses.iter().map(address).collect(),
            ..NetworkInfo::default()
        };
        let place = ContainerStatus { network_infos: vec![network], ..ContainerStatus::default() };
        TaskStatus { container_status: Some(place), ..TaskStatus::default() }
    }

    /// A container with host port 31000 for its TCP port 80, and 31001 for its UDP port 53.
    fn bridged() -> TaskInfo {
        let mapping = |host_port, container_port, protocol: Option<&str>| PortMapping {
            host_port,
            container_port,
            protocol: protocol.map(Into::into),
        };
        let port_mappings =
            vec![mapping(31000, 80, None), mapping(31001, 53, Some("UDP")), mapping(0, 81, None)];
        let docker = DockerInfo { port_mappings, ..DockerInfo::default() };
        let container = ContainerInfo { docker: Some(docker), ..ContainerInfo::default() };
        TaskInfo { container: Some(container), ..TaskInfo::default() }
    }

    fn places(
        task: &TaskInfo,
        status: &TaskStatus,
        scopes: &[&str],
        protocol: Protocol,
        number: u16,
    ) -> Vec<String> {
        let label = |scope: &&str| Label { key: SCOPE.into(), value: Some((*scope).into()) };
        let labels = Labels { labels: scopes.iter().map(label).collect() };
        let port = Port { labels: Some(labels), ..Port::default() };
        let reach = Reach::of(task, status, "10.0.0.7".parse().unwrap());
        reach.port(&port, protocol, number).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_host_port_is_at_the_agent_and_any_other_at_the_task() {
        use Protocol::{Tcp, Udp};
        let (task, plain) = (bridged(), TaskInfo::default());
        let own = status(&["172.17.0.2"]);
        for (scopes, protocol, number, wanted) in [
            (&["host"][..], Tcp, 31000, "10.0.0.7:31000"),
            // Whatever is mapped.
            (&["host"], Tcp, 80, "10.0.0.7:80"),
            (&["container"], Tcp, 80, "10.0.0.7:31000"),
            (&["container"], Udp, 53, "10.0.0.7:31001"),
            (&["container"], Udp, 80, "172.17.0.2:80"),
            (&["container"], Tcp, 81, "172.17.0.2:81"),
            (&["container"], Tcp, 31000, "172.17.0.2:31000"),
            (&[], Tcp, 80, "10.0.0.7:31000"),
            (&[], Tcp, 31000, "10.0.0.7:31000"),
            (&[], Tcp, 9000, "172.17.0.2:9000"),
            (&["overlay"], Tcp, 9000, "172.17.0.2:9000"),
            (&["host", "container"], Tcp, 80, "10.0.0.7:31000"),
        ] {
            assert_eq!(
                places(&task, &own, scopes, protocol, number),
                [wanted],
                "{scopes:?} {number}"
            );
        }
        // On the machine's network all ports are its own, and so it is while nobody has said otherwise.
        for status in [status(&["10.0.0.7"]), TaskStatus::default()] {
            for scopes in [&["host"][..], &["container"], &[]] {
                assert_eq!(places(&plain, &status, scopes, Tcp, 9000), ["10.0.0.7:9000"]);
            }
        }
    }

    #[test]
    fn every_address_of_a_task_counts_that_others_can_reach() {
        let task = TaskInfo::default();
        let none = status(&[]);
        let status = status(&["10.9.0.2", "fd00:9::2", "127.0.0.1", "fe80::1", "0.0.0.0", "x", ""]);
        let places = |status, scope| places(&task, status, &[scope], Protocol::Tcp, 80);
        assert_eq!(places(&status, "container"), ["10.9.0.2:80", "[fd00:9::2]:80"]);
        assert_eq!(places(&status, "host"), ["10.0.0.7:80"]);
        assert_eq!(places(&none, "container"), [""; 0]);
    }

    #[test]
    fn mappings_of_networks_count_too() {
        let mapping = network_info::PortMapping {
            host_port: 31005,
            container_port: 80,
            protocol: Some("tcp".into()),
        };
        let network = NetworkInfo { port_mappings: vec![mapping], ..NetworkInfo::default() };
        let container =
            ContainerInfo { network_infos: vec![network.clone()], ..ContainerInfo::default() };
        let task = TaskInfo { container: Some(container), ..TaskInfo::default() };
        let own = status(&["10.9.0.2"]);
        assert_eq!(places(&task, &own, &["container"], Protocol::Tcp, 80), ["10.0.0.7:31005"]);
        // An executor may know of them only when the task runs.
        let mut told = own;
        told.container_status.as_mut().unwrap().network_infos.push(network);
        let task = TaskInfo::default();
        assert_eq!(places(&task, &told, &["container"], Protocol::Tcp, 80), ["10.0.0.7:31005"]);
    }
}
