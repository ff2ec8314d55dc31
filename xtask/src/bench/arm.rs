//! The contestants of `bench vip`: each on a machine of its own, all to one server.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use muster_harness::cgroup::Cgroup;
use muster_harness::{NetNs, command, paths};

use super::site::Site;

/// Where every arm's clients connect to, but those of the direct one.
pub(super) const VIP: &str = "11.1.1.1:80";
/// Where HAProxy listens, beside its clients.
const PROXY: &str = "127.0.0.1:8080";
/// Backends of each balanced arm: as many ports of the one server.
const BACKENDS: u16 = 3;

/// A way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Direct,
    Muster,
    Iptables,
    Haproxy,
}

/// A client's machine and what it needs.
pub(super) struct Arm {
    pub(super) kind: Kind,
    netns: NetNs,
    cgroup: Option<Cgroup>,
    url: String,
    /// What the VIP's holder waits on.
    lifeline: Option<ChildStdin>,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Direct, Self::Muster, Self::Iptables, Self::Haproxy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Muster => "muster",
            Self::Iptables => "iptables",
            Self::Haproxy => "haproxy",
        }
    }

    /// The server's ports for this arm. Each arm has its own: sockets that wait out their
    /// time after one arm's connections must not slow another's.
    pub(super) fn ports(self) -> Vec<u16> {
        let first = match self {
            Self::Direct => 8100,
            Self::Muster => 8200,
            Self::Iptables => 8300,
            Self::Haproxy => 8400,
        };
        (first..first + BACKENDS).collect()
    }
}

impl Arm {
    /// Makes the arm's machine, at `address`, with whatever leads to `server`.
    pub(super) fn start(
        kind: Kind,
        site: &Site,
        address: Ipv4Addr,
        server: Ipv4Addr,
    ) -> Result<Self> {
        let netns = site.machine(kind.name(), address)?;
        let mut arm =
            Self { kind, netns, cgroup: None, url: format!("http://{VIP}/"), lifeline: None };
        let backends: Vec<String> =
            kind.ports().iter().map(|port| format!("{server}:{port}")).collect();
        match kind {
            Kind::Direct => arm.url = format!("http://{}/", backends[0]),
            Kind::Muster => arm.hold_vip(site, &backends)?,
            Kind::Iptables => arm.translate(site, &backends)?,
            Kind::Haproxy => arm.proxy(site, &backends)?,
        }
        Ok(arm)
    }

    /// Requests a second, and failed ones, over some seconds; on kept connections or with
    /// one for each request.
    pub(super) fn measure(&self, seconds: u32, kept: bool) -> Result<f64> {
        let mut wrk = Command::new("timeout");
        wrk.args(["--signal=KILL", &(seconds + 20).to_string()]);
        wrk.args(["wrk", "-t1", "-c32", &format!("-d{seconds}s")]);
        if !kept {
            wrk.args(["-H", "Connection: close"]);
        }
        wrk.arg(&self.url);
        self.netns.place(&mut wrk)?;
        if let Some(cgroup) = &self.cgroup {
            cgroup.place(&mut wrk)?;
        }
        let output = command::output(&mut wrk)?;
        if output.contains("Socket errors") || output.contains("Non-2xx") {
            bail!("{} had failed requests:\n{output}", self.kind.name());
        }
        let rate = output.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        let rate = rate.with_context(|| format!("no rate in the output of wrk:\n{output}"))?;
        Ok(rate.trim().parse()?)
    }

    fn hold_vip(&mut self, site: &Site, backends: &[String]) -> Result<()> {
        let agent = site.name("vip");
        let cgroup = Cgroup::create(&format!("muster/{agent}"))?;
        let program = paths::target().join("release/examples/vip_hold");
        let mut hold = Command::new(&program);
        hold.arg(agent).arg(cgroup.directory()).arg(VIP).args(backends);
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
    fn translate(&self, site: &Site, backends: &[String]) -> Result<()> {
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
        // The route that a VIP's packets are made with before they are translated.
        self.command("ip", &format!("route add {address}/32 dev eth0"))?;
        site.sysctl(&self.netns, "net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
    }

    fn proxy(&mut self, site: &Site, backends: &[String]) -> Result<()> {
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
        self.url = format!("http://{PROXY}/");
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
                curl.args([
                    "--silent",
                    "--fail",
                    "--max-time",
                    "2",
                    "--output",
                    "/dev/null",
                    &self.url,
                ]);
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
