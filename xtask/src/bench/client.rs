//! Who asks: requests by wrk, datagrams by an example of the data plane.

use std::net::SocketAddrV4;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use muster_harness::cgroup::Cgroup;
use muster_harness::{NetNs, command, paths};

use super::sample::Sample;
use super::site::Site;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Case {
    /// Requests on connections that are kept.
    Kept,
    /// Requests with a connection each.
    New,
    /// Datagrams of a connected socket, each answered by another.
    Connected,
    /// The same of one that is not connected.
    Unconnected,
}

/// A client's place.
pub(super) struct Client<'a> {
    pub(super) netns: &'a NetNs,
    pub(super) cgroup: Option<&'a Cgroup>,
}

// === impl Case ===

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kept => "requests on kept connections",
            Self::New => "new connections",
            Self::Connected => "datagrams of a connected socket",
            Self::Unconnected => "datagrams of a socket that is not connected",
        }
    }
}

// === impl Client ===

impl Client<'_> {
    fn place(&self, command: &mut Command) -> muster_harness::Result<()> {
        self.netns.place(command)?;
        self.cgroup.map_or(Ok(()), |cgroup| cgroup.place(command))
    }

    /// Waits until a server answers at each of these addresses.
    pub(super) fn await_answer(&self, to: &[SocketAddrV4]) -> Result<()> {
        let urls: Vec<String> = to.iter().copied().map(url).collect();
        muster_harness::eventually(
            format!("an answer of {}", urls.join(", ")),
            Duration::from_secs(20),
            || {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--fail", "--max-time", "2", "--output", "/dev/null"]);
                curl.args(&urls);
                self.place(&mut curl)?;
                command::output(&mut curl)
                    .map(drop)
                    .map_err(|error| muster_harness::Error::NotYet(error.to_string()))
            },
        )?;
        Ok(())
    }

    /// Asks over some seconds; every answer must come.
    pub(super) fn measure(
        &self,
        site: &Site,
        seconds: u32,
        case: Case,
        to: SocketAddrV4,
    ) -> Result<Sample> {
        let mut ask = Command::new("timeout");
        ask.args(["--signal=KILL", &(seconds + 20).to_string()]);
        let is_tcp = matches!(case, Case::Kept | Case::New);
        if is_tcp {
            ask.args(["wrk", "-t1", "-c32", &format!("-d{seconds}s")]);
            if case == Case::New {
                ask.args(["-H", "Connection: close"]);
            }
            ask.arg(url(to));
        } else {
            let socket = if case == Case::Connected { "connected" } else { "unconnected" };
            ask.arg(paths::target().join("release/examples/udp_rate"));
            ask.args(["ask", socket, &to.to_string(), &seconds.to_string()]);
        }
        self.place(&mut ask)?;
        let before = site.processor_time()?;
        let output = command::output(&mut ask)?;
        let processor = site.processor_time()?.saturating_sub(before);
        let read = if is_tcp { Sample::of_wrk } else { Sample::of_datagrams };
        read(&output, processor).with_context(|| format!("{to}, {}: {output}", case.name()))
    }
}

fn url(to: SocketAddrV4) -> String {
    format!("http://{to}/")
}
