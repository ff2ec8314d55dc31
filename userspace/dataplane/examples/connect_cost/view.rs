//! VIPs to measure with.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use muster_api::muster::{Backend, Vip, VipKey};
use muster_dataplane::Protocol;

/// Backends of each VIP.
pub(crate) const BACKENDS: usize = 10;

/// 11.0.0.0 and so on, port 80.
pub(crate) fn vip_address(number: usize) -> SocketAddrV4 {
    let bits = u32::from(Ipv4Addr::new(11, 0, 0, 0)) | u32::try_from(number).unwrap_or(0);
    SocketAddrV4::new(Ipv4Addr::from(bits), 80)
}

/// Backends are ports of this machine.
pub(crate) fn backend_address(number: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, u16::try_from(31_000 + number).unwrap_or(0))
}

/// A VIP of this number.
pub(crate) fn vip(number: usize, protocol: Protocol, backends: &[SocketAddrV4]) -> Vip {
    let backends: Vec<_> = backends.iter().copied().map(SocketAddr::from).collect();
    vip_at(vip_address(number).into(), protocol, &backends)
}

/// A VIP at an address of either family.
pub(crate) fn vip_at(address: SocketAddr, protocol: Protocol, backends: &[SocketAddr]) -> Vip {
    let backends = backends.iter().map(|address| Backend {
        address: address.ip().to_string(),
        port: address.port().into(),
        weight: 1,
        ..Backend::default()
    });
    Vip {
        key: Some(VipKey {
            address: address.ip().to_string(),
            port: address.port().into(),
            protocol: protocol.into(),
        }),
        backends: backends.collect(),
        ..Vip::default()
    }
}
