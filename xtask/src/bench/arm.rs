//! The contestants of `bench vip`: each on a machine of its own, all to one server.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use muster_harness::cgroup::Cgroup;
use muster_harness::{NetNs, command, paths};

use super::sample::Sample;
use super::site::Site;

/// Where every arm's clients connect to, but those of the direct one.
pub(super) const VIP: &str = "11.1.1.1:80";
/// Where HAProxy listens, beside its clients.
const PROXY: &str = "127.0.0.1:8080";
/// Addresses of the one server: the backends of each balanced arm.
///
/// Backends differ in nothing but their address. As ports of one address, they would be
/// sockets that the server has to listen at, which is more work for it than the direct
/// arm's one.
pub(super) const SERVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 101), Ipv4Addr::new(10, 99, 0, 102)];

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
    Iptables,
    Nftables,
    Haproxy,
}

/// A client's machine and what it needs.
pub(super) struct Arm {
    pub(super) kind: Kind,
    netns: NetNs,
    cgroup: Option<Cgroup>,
    /// Of each in turn.
    urls: Vec<String>,
    /// What the VIP's holder waits on.
    lifeline: Option<ChildStdin>,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Direct,
        Self::Inside,
        Self::Muster,
        Self::Nfqueue,
        Self::Iptables,
        Self::Nftables,
        Self::Haproxy,
    ];

    /// What is compared with [`Direct`](Self::Direct).
    pub(super) const COMPARED: [Self; 6] =
        [Self::Inside, Self::Muster, Self::Nfqueue, Self::Iptables, Self::Nftables, Self::Haproxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Inside => "inside",
            Self::Muster => "muster",
            Self::Nfqueue => "nfqueue",
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
            Self::Haproxy => "haproxy",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Inside => "direct, in the agent's cgroup",
            Self::Nfqueue => "muster by NFQUEUE",
            other => other.name(),
        }
    }

    /// The server's ports for this arm. Each has its own, and the direct arm, which is measured
    /// more often, one for each time: sockets that wait out their time after some
    /// connections must not make others slower, or be reused by them.
    pub(super) fn ports(self) -> RangeInclusive<u16> {
        match self {
            Self::Direct => 8100..=8106,
            Self::Inside => 8200..=8200,
            Self::Muster => 8300..=8300,
            Self::Iptables => 8400..=8400,
            Self::Haproxy => 8500..=8500,
            Self::Nftables => 8600..=8600,
            Self::Nfqueue => 8700..=8700,
        }
    }
}

const _: () = assert!(Kind::COMPARED.len() == 6, "direct has a port before and after each of them");

impl Arm {
    /// Makes the arm's machine, at `address`, with whatever leads to the server.
    pub(super) fn start(kind: Kind, site: &Site, address: Ipv4Addr) -> Result<Self> {
        let netns = site.machine(kind.name(), address)?;
        let mut arm = Self { kind, netns, cgroup: None, urls: Vec::new(), lifeline: None };
        let [server, ..] = SERVERS;
        let direct = kind.ports().map(|port| format!("http://{server}:{port}/")).collect();
        let port = kind.ports().start().to_owned();
        let backends: Vec<String> =
            SERVERS.iter().map(|server| format!("{server}:{port}")).collect();
        arm.urls = match kind {
            Kind::Direct => direct,
            Kind::Inside => {
                arm.hold_vip(site, "ebpf", &backends)?;
                direct
            }
            Kind::Muster => {
                arm.hold_vip(site, "ebpf", &backends)?;
                vec![format!("http://{VIP}/")]
            }
            Kind::Nfqueue => {
                arm.prepare_translation(site)?;
                arm.hold_vip(site, "nfqueue", &backends)?;
                vec![format!("http://{VIP}/")]
            }
            Kind::Nftables => {
                arm.prepare_translation(site)?;
                arm.map(site, port)?;
                vec![format!("http://{VIP}/")]
            }
            Kind::Iptables => {
                arm.prepare_translation(site)?;
                arm.translate(&backends)?;
                vec![format!("http://{VIP}/")]
            }
            Kind::Haproxy => {
                arm.proxy(site, &backends)?;
                vec![format!("http://{PROXY}/")]
            }
        };
        Ok(arm)
    }

    /// Requests, all of which must succeed, over some seconds; on kept connections or with
    /// one for each request. `turn` counts the arm's measurements in this round.
    pub(super) fn measure(
        &self,
        site: &Site,
        seconds: u32,
        kept: bool,
        turn: usize,
    ) -> Result<Sample> {
        let mut wrk = Command::new("timeout");
        wrk.args(["--signal=KILL", &(seconds + 20).to_string()]);
        wrk.args(["wrk", "-t1", "-c32", &format!("-d{seconds}s")]);
        if !kept {
            wrk.args(["-H", "Connection: close"]);
        }
        wrk.args(self.urls.get(turn % self.urls.len()));
        self.netns.place(&mut wrk)?;
        if let Some(cgroup) = &self.cgroup {
            cgroup.place(&mut wrk)?;
        }
        let before = site.processor_time()?;
        let output = command::output(&mut wrk)?;
        let processor = site.processor_time()?.saturating_sub(before);
        Sample::read(&output, processor)
            .with_context(|| format!("{} by wrk, which said:\n{output}", self.kind.name()))
    }

    fn hold_vip(&mut self, site: &Site, by: &str, backends: &[String]) -> Result<()> {
        let agent = site.name(self.kind.name());
        let cgroup = Cgroup::create(&format!("muster/{agent}"))?;
        let program = paths::target().join("release/examples/vip_hold");
        let mut hold = Command::new(&program);
        hold.arg(agent).arg(cgroup.directory()).args([by, VIP]).args(backends);
        hold.stdin(Stdio::piped()).stdout(Stdio::piped());
        self.cgroup = Some(cgroup);
        let mut holder = site.start_program(hold, &self.netns)?;
        self.lifeline = holder.stdin.take();
        let mut line = String::new();
        let output = holder.stdout.take().context("vip_hold has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("vip_hold is not ready: {line:?}");
        }
        Ok(())
    }

    /// What kube-proxy writes: a chain for the service, one rule a backend, by chance.
    fn translate(&self, backends: &[String]) -> Result<()> {
        let (address, port) = VIP.split_once(':').context("the VIP has a port")?;
        let mut rules = vec![
            "-N SERVICE".to_owned(),
            format!("-A OUTPUT -d {address}/32 -p tcp --dport {port} -j SERVICE"),
        ];
        for (index, backend) in backends.iter().enumerate() {
            let left = backends.len() - index;
            let chance = match left {
                1 => String::new(),
                left => format!(
                    "-m statistic --mode random --probability {:.10} ",
                    1.0 / f64::from(u32::try_from(left)?)
                ),
            };
            rules.push(format!("-A SERVICE {chance}-p tcp -j DNAT --to-destination {backend}"));
        }
        for rule in rules {
            self.command("iptables", &format!("-w -t nat {rule}"))?;
        }
        Ok(())
    }

    /// What kube-proxy does with nftables: a map has the service, another one of its backends
    /// by chance.
    fn map(&self, site: &Site, port: u16) -> Result<()> {
        let (address, service) = VIP.split_once(':').context("the VIP has a port")?;
        let backends: Vec<String> = (0..)
            .zip(SERVERS)
            .map(|(index, server): (usize, _)| format!("{index} : {server} . {port}"))
            .collect();
        let rules = format!(
            "table ip bench {{\n\
             map services {{\ntype ipv4_addr . inet_service : verdict\n\
             elements = {{ {address} . {service} : goto service }}\n}}\n\
             chain service {{\nmeta l4proto tcp dnat ip to numgen random mod {} map {{ {} }}\n}}\n\
             chain output {{\ntype nat hook output priority -100\n\
             meta l4proto tcp ip daddr . tcp dport vmap @services\n}}\n}}\n",
            SERVERS.len(),
            backends.join(", "),
        );
        let file = site.write("bench.nft", &rules)?;
        self.command("nft", &format!("-f {}", file.display()))
    }

    /// The route that a VIP's packets are made with before they are translated; and connections
    /// that are over do not fill the table.
    fn prepare_translation(&self, site: &Site) -> Result<()> {
        let (address, _) = VIP.split_once(':').context("the VIP has a port")?;
        self.command("ip", &format!("route add {address}/32 dev eth0"))?;
        site.sysctl(&self.netns, "net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
    }

    fn proxy(&self, site: &Site, backends: &[String]) -> Result<()> {
        let mut text = format!(
            "global\n  nbthread 1\n  maxconn 4096\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             listen vip\n  bind {PROXY}\n  balance random\n"
        );
        for (index, backend) in backends.iter().enumerate() {
            text += &["  server s", &index.to_string(), " ", backend, "\n"].concat();
        }
        let configuration = site.write("haproxy.cfg", &text)?;
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-q", "-f"]).arg(&configuration);
        site.start_program(haproxy, &self.netns)?;
        Ok(())
    }

    fn command(&self, program: &str, arguments: &str) -> Result<()> {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace());
        self.netns.place(&mut command)?;
        command::output(&mut command)?;
        Ok(())
    }

    /// Waits until the server answers this way.
    pub(super) fn await_answer(&self) -> Result<()> {
        muster_harness::eventually(
            format!("an answer by way of {}", self.kind.name()),
            Duration::from_secs(20),
            || {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--fail", "--max-time", "2", "--output", "/dev/null"]);
                curl.args(&self.urls);
                self.netns.place(&mut curl)?;
                if let Some(cgroup) = &self.cgroup {
                    cgroup.place(&mut curl)?;
                }
                command::output(&mut curl)
                    .map(drop)
                    .map_err(|error| muster_harness::Error::NotYet(error.to_string()))
            },
        )?;
        Ok(())
    }
}
