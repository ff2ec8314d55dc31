//! What VIPs are called: the maps know addresses only.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use muster_api::muster::{Protocol, Vip};

/// Names of VIPs by address and protocol.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<(SocketAddr, Protocol), String>);

// === impl Names ===

impl Names {
    /// Those of a view. What cannot be a VIP has none.
    pub(crate) fn of(vips: &[Vip]) -> Self {
        let named = vips.iter().filter(|vip| !vip.name.is_empty());
        let entries = named.filter_map(|vip| {
            let key = vip.key.as_ref()?;
            let address: IpAddr = key.address.parse().ok()?;
            let port = u16::try_from(key.port).ok()?;
            // As the data plane shows it.
            let address = SocketAddr::new(address.to_canonical(), port);
            Some(((address, key.protocol()), vip.name.clone()))
        });
        Self(entries.collect())
    }

    /// The name of one.
    pub(crate) fn get(&self, address: SocketAddr, protocol: Protocol) -> Option<String> {
        self.0.get(&(address, protocol)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use muster_api::muster::VipKey;

    use super::*;

    #[test]
    fn names_belong_to_an_address_and_a_protocol() {
        let vip = |address: &str, port, name: &str| Vip {
            key: Some(VipKey { address: address.into(), port, protocol: 6 }),
            name: name.into(),
            ..Vip::default()
        };
        let names = Names::of(&[
            vip("11.0.0.1", 80, "web"),
            vip("11.0.0.2", 80, ""),
            vip("eleven", 80, "bad"),
            vip("fd01:c::1", 80, "six"),
            Vip { name: "keyless".into(), ..Vip::default() },
        ]);
        let get =
            |address: &str, protocol| names.get(address.parse::<SocketAddr>().unwrap(), protocol);
        assert_eq!(get("11.0.0.1:80", Protocol::Tcp).as_deref(), Some("web"));
        assert_eq!(get("[fd01:c::1]:80", Protocol::Tcp).as_deref(), Some("six"));
        assert_eq!(get("11.0.0.1:80", Protocol::Udp), None);
        assert_eq!(get("11.0.0.1:81", Protocol::Tcp), None);
        assert_eq!(get("11.0.0.2:80", Protocol::Tcp), None);
    }
}
