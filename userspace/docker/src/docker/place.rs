//! Where a container is reached.

use std::net::IpAddr;

use bollard::models::{ContainerInspectResponse, EndpointSettings};

/// The addresses that a container has in the networks it is connected to; `None` if it has none of its
/// own because it shares the engine's network.
pub(super) fn addresses(found: &ContainerInspectResponse) -> Option<Vec<IpAddr>> {
    let mode = found.host_config.as_ref().and_then(|host| host.network_mode.as_deref());
    if mode == Some("host") {
        return None;
    }
    let networks = found.network_settings.as_ref().and_then(|n| n.networks.as_ref());
    let mut networks: Vec<_> = networks.into_iter().flatten().collect();
    networks.sort_by_key(|(name, _)| name.as_str());
    let of = |endpoint: &EndpointSettings| {
        // Where there is none, it is written as an empty text.
        let texts = [&endpoint.ip_address, &endpoint.global_ipv6_address];
        texts.map(|text| text.as_ref().and_then(|text| text.parse().ok()))
    };
    Some(networks.into_iter().flat_map(|(_, endpoint)| of(endpoint)).flatten().collect())
}

#[cfg(test)]
mod tests {
    use bollard::models::{HostConfig, NetworkSettings};

    use super::*;

    fn found(mode: &str, networks: &[(&str, &str, &str)]) -> ContainerInspectResponse {
        let networks = networks.iter().map(|&(name, ipv4, ipv6)| {
            let endpoint = EndpointSettings {
                ip_address: Some(ipv4.into()),
                global_ipv6_address: Some(ipv6.into()),
                ..EndpointSettings::default()
            };
            (name.to_owned(), endpoint)
        });
        let networks = Some(networks.collect());
        ContainerInspectResponse {
            host_config: Some(HostConfig {
                network_mode: Some(mode.into()),
                ..HostConfig::default()
            }),
            network_settings: Some(NetworkSettings { networks, ..NetworkSettings::default() }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn addresses_are_those_in_its_networks() {
        let of = |mode, networks: &[_]| {
            let addresses = addresses(&found(mode, networks))?;
            Some(addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(of("host", &[("host", "", "")]), None);
        assert_eq!(of("none", &[("none", "", "")]), Some(vec![]));
        assert_eq!(of("bridge", &[("bridge", "172.17.0.2", "")]), Some(vec!["172.17.0.2".into()]));
        let two = [("b", "10.9.0.2", ""), ("a", "10.8.0.2", "fd00:8::2")];
        let wanted = ["10.8.0.2", "fd00:8::2", "10.9.0.2"].map(String::from);
        assert_eq!(of("a", &two), Some(wanted.into()));
        assert_eq!(addresses(&ContainerInspectResponse::default()), Some(vec![]));
    }
}
