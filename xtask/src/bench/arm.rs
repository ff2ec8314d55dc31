//! The contestants of `bench vip`: each on a machine of its own, all to one server.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::process::Command;

use anyhow::Result;
use muster_harness::{NetNs, command};

use super::client::{Case, Client};
use super::holder::{Held, Holder};
use super::rules::{Hook, Rules};
use super::sample::Sample;
use super::server::{SERVERS, backends};
use super::site::Site;

/// Where every arm's clients connect to, but those of the direct one.
const VIP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(11, 1, 1, 1), 80);
/// Where HAProxy listens, beside its clients.
const PROXY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);

/// A way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the server itself, as if there were no Muster.
    Direct,
    /// To the server itself, from the agent's cgroup: what those pay who use no VIP.
    Inside,
    Muster,
    /// By the rules and queues that Muster falls back on.
    Nfqueue,
    /// DNAT, with so many services.
    Iptables(usize),
    /// The same.
    Nftables(usize),
    Haproxy,
}

/// A client's machine and what it needs.
pub(super) struct Arm {
    pub(super) kind: Kind,
    netns: NetNs,
    holder: Option<Holder>,
    /// Of each in turn.
    to: Vec<SocketAddrV4>,
}

impl Kind {
    /// What is compared with [`Direct`](Self::Direct).
    pub(super) const COMPARED: [Self; 10] = [
        Self::Inside,
        Self::Muster,
        Self::Nfqueue,
        Self::Iptables(10),
        Self::Iptables(1_000),
        Self::Iptables(10_000),
        Self::Nftables(10),
        Self::Nftables(1_000),
        Self::Nftables(10_000),
        Self::Haproxy,
    ];

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Direct].into_iter().chain(Self::COMPARED)
    }

    /// A name for its machine.
    fn name(self) -> String {
        match self {
            Self::Direct => "direct".to_owned(),
            Self::Inside => "inside".to_owned(),
            Self::Muster => "muster".to_owned(),
            Self::Nfqueue => "nfqueue".to_owned(),
            Self::Iptables(services) => format!("ipt{services}"),
            Self::Nftables(services) => format!("nft{services}"),
            Self::Haproxy => "haproxy".to_owned(),
        }
    }

    pub(super) fn title(self) -> String {
        match self {
            Self::Inside => "direct, in the agent's cgroup".to_owned(),
            Self::Nfqueue => "muster by NFQUEUE".to_owned(),
            Self::Iptables(services) => format!("iptables, {services} services"),
            Self::Nftables(services) => format!("nftables, {services} services"),
            Self::Direct | Self::Muster | Self::Haproxy => self.name(),
        }
    }

    /// False if it cannot do that: NFQUEUE and HAProxy know TCP only.
    pub(super) fn does(self, case: Case) -> bool {
        matches!(case, Case::Kept | Case::New) || !matches!(self, Self::Nfqueue | Self::Haproxy)
    }

    /// The server's ports for this arm. Each has its own, and the direct arm, which is measured
    /// more often, one for each time: sockets that wait out their time after some
    /// connections must not make others slower, or be reused by them.
    pub(super) fn ports(self) -> RangeInclusive<u16> {
        let one = |port| port..=port;
        // By the number of digits.
        let by = |services: usize| u16::try_from(services.ilog10()).unwrap_or(0);
        match self {
            Self::Direct => 8100..=8110,
            Self::Inside => one(8200),
            Self::Muster => one(8300),
            Self::Iptables(services) => one(8400 + by(services)),
            Self::Haproxy => one(8500),
            Self::Nftables(services) => one(8600 + by(services)),
            Self::Nfqueue => one(8700),
        }
    }
}

const _: () =
    assert!(Kind::COMPARED.len() == 10, "direct has a port before and after each of them");

impl Arm {
    /// Makes the arm's machine, at `address`, with whatever leads to the server.
    pub(super) fn start(kind: Kind, site: &Site, address: Ipv4Addr) -> Result<Self> {
        let netns = site.machine(&kind.name(), address)?;
        let mut arm = Self { kind, netns, holder: None, to: vec![VIP] };
        let port = *kind.ports().start();
        let backends = backends(port);
        let rules =
            |services| Rules { vip: VIP, backends: &backends, services, hook: Hook::Output };
        let [server, ..] = SERVERS;
        if matches!(kind, Kind::Direct | Kind::Inside) {
            arm.to = kind.ports().map(|port| SocketAddrV4::new(server, port)).collect();
        }
        match kind {
            Kind::Direct => {}
            Kind::Inside | Kind::Muster => arm.hold_vip(site, "ebpf", &backends)?,
            Kind::Nfqueue => {
                arm.prepare_translation(site)?;
                arm.hold_vip(site, "nfqueue", &backends)?;
            }
            Kind::Nftables(services) => {
                arm.prepare_translation(site)?;
                rules(services).load_nftables(&arm.netns)?;
            }
            Kind::Iptables(services) => {
                arm.prepare_translation(site)?;
                rules(services).load_iptables(&arm.netns)?;
            }
            Kind::Haproxy => {
                arm.proxy(site, &backends)?;
                arm.to = vec![PROXY];
            }
        }
        Ok(arm)
    }

    fn client(&self) -> Client<'_> {
        let cgroup = self.holder.as_ref().map(|holder| &holder.cgroup);
        Client { netns: &self.netns, cgroup }
    }

    /// Waits until the server answers this way.
    pub(super) fn await_answer(&self) -> Result<()> {
        self.client().await_answer(&self.to)
    }

    /// Measures one case over some seconds. `turn` counts the arm's measurements in this round.
    pub(super) fn measure(
        &self,
        site: &Site,
        seconds: u32,
        case: Case,
        turn: usize,
    ) -> Result<Sample> {
        let is_tcp = matches!(case, Case::Kept | Case::New);
        // Datagrams leave nothing behind, so there is one server for them.
        let turn = if is_tcp { turn % self.to.len() } else { 0 };
        self.client().measure(site, seconds, case, self.to[turn])
    }

    fn hold_vip(&mut self, site: &Site, by: &str, backends: &[SocketAddrV4]) -> Result<()> {
        let held = Held { by, forward: None, vip: VIP, services: 1, backends };
        self.holder = Some(Holder::start(site, &self.netns, &self.kind.name(), &held)?);
        Ok(())
    }

    /// The route that a VIP's packets are made with before they are translated; and connections
    /// that are over do not fill the table.
    fn prepare_translation(&self, site: &Site) -> Result<()> {
        let mut ip = Command::new("ip");
        ip.args(["route", "add", &format!("{}/32", VIP.ip()), "dev", "eth0"]);
        self.netns.place(&mut ip)?;
        command::output(&mut ip)?;
        site.sysctl(&self.netns, "net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
    }

    fn proxy(&self, site: &Site, backends: &[SocketAddrV4]) -> Result<()> {
        let servers: Vec<String> = (0..)
            .zip(backends)
            .map(|(index, backend): (usize, _)| format!("  server s{index} {backend}\n"))
            .collect();
        let servers = servers.concat();
        let text = format!(
            "global\n  nbthread 1\n  maxconn 4096\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             listen vip\n  bind {PROXY}\n  balance random\n{servers}"
        );
        let configuration = site.write("haproxy.cfg", &text)?;
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-q", "-f"]).arg(&configuration);
        site.start_program(haproxy, &self.netns)?;
        Ok(())
    }
}
