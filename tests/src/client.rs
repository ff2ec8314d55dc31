//! A client of virtual addresses: curl on a machine and below its agent's cgroup root.
//!
//! VIPs are chosen at `connect()` by programs on the agent's cgroup root, so a process must be
//! in that cgroup, or one below, to reach them; a thread is not enough.

use std::process::Command;

use crate::cgroup::Cgroup;
use crate::command;
use crate::error::{Error, Result};
use crate::http::Response;
use crate::interrupt;
use crate::netns::NetNs;

/// Starts commands on one machine as a container of its agent would: in the machine's network
/// namespace and in a cgroup below the agent's root.
#[derive(Clone, Debug)]
pub struct Client {
    netns: NetNs,
    cgroup: Cgroup,
}

impl Client {
    /// A client on the machine `netns`, in `cgroup` of the v2 tree.
    pub fn new(netns: NetNs, cgroup: Cgroup) -> Self {
        Self { netns, cgroup }
    }

    /// Makes `command` start on the machine and in the cgroup.
    ///
    /// # Errors
    /// [`Error::System`] when either is gone.
    pub fn place(&self, command: &mut Command) -> Result<()> {
        self.netns.place(command)?;
        self.cgroup.place(command)
    }

    /// Requests `url` on a connection of its own.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer within five seconds; any status is an answer.
    pub fn get(&self, url: &str) -> Result<Response> {
        interrupt::check()?;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "5", "--noproxy", "*"]);
        curl.args(["--write-out", "\n%{http_code}", url]);
        self.place(&mut curl)?;
        let failed = |reason: String| Error::Http { method: "GET".into(), url: url.into(), reason };
        let output = command::output(&mut curl).map_err(|error| failed(error.to_string()))?;
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", &output));
        let status = status.parse().map_err(|_| failed(format!("no status in {output:?}")))?;
        Ok(Response { status, body: body.to_owned(), request: ("GET".into(), url.into()) })
    }
}
