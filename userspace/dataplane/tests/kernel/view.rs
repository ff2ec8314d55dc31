//! Cluster views, in few words.

use std::net::SocketAddr;

use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::Protocol;

/// A VIP with backends of weight 1.
pub(crate) fn tcp(address: &str, backends: &[SocketAddr]) -> Vip {
    vip(address, Protocol::Tcp, backends)
}

/// A UDP VIP with backends of weight 1.
pub(crate) fn udp(address: &str, backends: &[SocketAddr]) -> Vip {
    vip(address, Protocol::Udp, backends)
}

/// The same VIP with these weights.
pub(crate) fn weighted(mut vip: Vip, weights: &[u32]) -> Vip {
    for (backend, weight) in vip.backends.iter_mut().zip(weights) {
        backend.weight = *weight;
    }
    vip
}

fn vip(address: &str, protocol: Protocol, backends: &[SocketAddr]) -> Vip {
    let address: SocketAddr = address.parse().unwrap();
    let key = VipKey {
        address: address.ip().to_string(),
        port: address.port().into(),
        protocol: protocol.into(),
    };
    let backend = |address: &SocketAddr| Backend {
        address: address.ip().to_string(),
        port: address.port().into(),
        weight: 1,
        ..Backend::default()
    };
    Vip { key: Some(key), backends: backends.iter().map(backend).collect(), ..Vip::default() }
}
