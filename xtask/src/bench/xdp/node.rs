//! Machines that forward.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

use anyhow::Result;
use muster_harness::{NetNs, command, paths};

use crate::bench::holder::{Held, Holder, Lifeline};
use crate::bench::rules::{Hook, Rules};
use crate::bench::server;
use crate::bench::site::Site;

/// VIPs that each of ours has.
const VIPS: usize = 1_000;
/// The client, and what the machine that only routes knows it and the server as.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const ROUTED_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
const ROUTED_SERVER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);

/// A way to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By routes alone.
    Routed,
    Xdp,
    Tc,
    /// DNAT, with so many services.
    Iptables(usize),
    /// The same.
    Nftables(usize),
}

/// A machine that forwards.
pub(super) struct Node {
    /// What clients ask.
    pub(super) to: SocketAddrV4,
    _holder: Option<Holder>,
    _lifeline: Option<Lifeline>,
}

// === impl Kind ===

impl Kind {
    /// What is compared with [`Routed`](Self::Routed).
    pub(super) const COMPARED: [Self; 8] = [
        Self::Xdp,
        Self::Tc,
        Self::Iptables(10),
        Self::Iptables(1_000),
        Self::Iptables(10_000),
        Self::Nftables(10),
        Self::Nftables(1_000),
        Self::Nftables(10_000),
    ];

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Routed].into_iter().chain(Self::COMPARED)
    }

    /// A name for its machine.
    fn name(self) -> String {
        match self {
            Self::Routed => "routed".to_owned(),
            Self::Xdp => "xdp".to_owned(),
            Self::Tc => "tc".to_owned(),
            Self::Iptables(services) => format!("ipt{services}"),
            Self::Nftables(services) => format!("nft{services}"),
        }
    }

    pub(super) fn title(self) -> String {
        match self {
            Self::Routed => "routed".to_owned(),
            Self::Xdp => format!("muster by XDP, {VIPS} VIPs"),
            Self::Tc => format!("muster by tc, {VIPS} VIPs"),
            Self::Iptables(services) => format!("iptables, {services} services"),
            Self::Nftables(services) => format!("nftables, {services} services"),
        }
    }

    /// The server's port for it: connections that are over must not be in others' way.
    pub(super) fn port(self) -> u16 {
        let index = Self::all().position(|kind| kind == self);
        8100 + index.and_then(|index| u16::try_from(index).ok()).unwrap_or(0)
    }
}

/// Makes the client's machine, and has packets between it and the server be whole: XDP on a veth cannot be
/// told that checksums are missing, as they are not from a wire.
pub(super) fn client(site: &Site, server: &NetNs) -> Result<NetNs> {
    let client = site.machine("client", CLIENT)?;
    for (netns, address) in [(&client, ROUTED_CLIENT), (server, ROUTED_SERVER)] {
        run(netns, "ip", &format!("address add {address}/32 dev eth0"))?;
        run(netns, "ethtool", "-K eth0 tx off")?;
    }
    Ok(client)
}

impl Node {
    /// Makes the machine, and the ways of the client and the server by it.
    pub(super) fn start(
        kind: Kind,
        site: &Site,
        address: Ipv4Addr,
        [client, server]: [&NetNs; 2],
    ) -> Result<Self> {
        let netns = site.machine(&kind.name(), address)?;
        site.sysctl(&netns, "net/ipv4/ip_forward", "1")?;
        // Ports that forwarded flows have are nobody else's.
        site.sysctl(&netns, "net/ipv4/ip_local_port_range", "32768 60999")?;
        for of in ["all", "eth0"] {
            site.sysctl(&netns, &format!("net/ipv4/conf/{of}/send_redirects"), "0")?;
            site.sysctl(&netns, &format!("net/ipv4/conf/{of}/rp_filter"), "0")?;
        }
        let [.., last] = address.octets();
        let vip = SocketAddrV4::new(Ipv4Addr::new(11, 1, 1, last), 80);
        let backends = server::backends(kind.port());
        if kind == Kind::Routed {
            let way = format!("via {address} src {ROUTED_CLIENT}");
            run(client, "ip", &format!("route add {ROUTED_SERVER}/32 {way}"))?;
            run(server, "ip", &format!("route add {ROUTED_CLIENT}/32 via {address}"))?;
            for known in [ROUTED_CLIENT, ROUTED_SERVER] {
                run(&netns, "ip", &format!("route add {known}/32 dev eth0"))?;
            }
            let to = SocketAddrV4::new(ROUTED_SERVER, kind.port());
            return Ok(Self { to, _holder: None, _lifeline: None });
        }
        run(client, "ip", &format!("route add {}/32 via {address}", vip.ip()))?;
        let hook = Hook::Forward(address);
        let rules = |services| Rules { vip, backends: &backends, services, hook };
        let holder = match kind {
            Kind::Routed => None,
            Kind::Xdp | Kind::Tc => {
                let interfaces = if kind == Kind::Xdp { "eth0:xdp" } else { "eth0:tc" };
                let forward = Some((interfaces, address));
                let held = Held { by: "ebpf", forward, vip, services: VIPS, backends: &backends };
                Some(Holder::start(site, &netns, &kind.name(), &held)?)
            }
            Kind::Iptables(services) => {
                rules(services).load_iptables(&netns)?;
                None
            }
            Kind::Nftables(services) => {
                rules(services).load_nftables(&netns)?;
                None
            }
        };
        let mut lifeline = None;
        if kind == Kind::Xdp {
            let mut pass = Command::new(paths::target().join("release/examples/xdp_pass"));
            pass.arg(kind.name());
            lifeline = Some(Lifeline::start(site, &site.switch()?, pass)?);
        }
        if holder.is_none() {
            // Connections that are over do not fill the table.
            let waiting = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";
            site.sysctl(&netns, waiting, "1")?;
        }
        Ok(Self { to: vip, _holder: holder, _lifeline: lifeline })
    }
}

fn run(netns: &NetNs, program: &str, arguments: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments.split(' '));
    netns.place(&mut command)?;
    command::output(&mut command)?;
    Ok(())
}
