//! Looking at a cluster: what master and agents say, what runs, what the logs have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::Value;

use super::{Cluster, MASTER_PORT, no_agent};
use crate::cgroup::{self, Cgroup};
use crate::error::{Error, Result};
use crate::http::Response;
use crate::machine::VIP_PORT;
use crate::sandbox::{self, Sandbox};
use crate::wait::ready;
use crate::{paths, process};

impl Cluster {
    /// What the master serves at `path`, such as `/state`.
    ///
    /// # Errors
    /// [`Error::Status`] unless the answer is a success with JSON.
    pub fn master_get(&self, path: &str) -> Result<Value> {
        let url = format!("http://{}{path}", SocketAddr::new(self.master.address, MASTER_PORT));
        self.master.http().get(&url)?.success()?.json()
    }

    /// Sends any request to the master's own interface; `path` begins with a slash.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer; any status is an answer.
    pub fn master_send(&self, method: &str, path: &str, body: &str) -> Result<Response> {
        let url = format!("http://{}{path}", SocketAddr::new(self.master.address, MASTER_PORT));
        self.master.http().send(method, &url, Some(body))
    }

    /// What the agent `index` serves at `path` of its VIP port, such as `/vips`.
    ///
    /// # Errors
    /// [`Error::Status`] unless the answer is a success with JSON.
    pub fn vip_get(&self, index: usize, path: &str) -> Result<Value> {
        let agent = self.agents.get(index).ok_or_else(|| no_agent(index))?;
        let url = format!("http://{}{path}", SocketAddr::new(agent.address, VIP_PORT));
        agent.http().get(&url)?.success()?.json()
    }

    /// The VIPs that the agent `index` balances, by `ip:port`: the backends of each, also by
    /// `ip:port`, and whether they are healthy.
    ///
    /// # Errors
    /// As [`Cluster::vip_get`].
    pub fn vips(&self, index: usize) -> Result<BTreeMap<String, BTreeMap<String, bool>>> {
        let answer = self.vip_get(index, "/vips")?;
        let vips = answer.get("vips").and_then(Value::as_object).ok_or_else(|| {
            Error::Unexpected { what: "/vips".into(), reason: answer.to_string() }
        })?;
        let healthy = |backend: &Value| backend.get("is_healthy") == Some(&Value::Bool(true));
        let backends = |vip: &Value| {
            let backends = vip.as_object().into_iter().flatten();
            backends.map(|(address, backend)| (address.clone(), healthy(backend))).collect()
        };
        Ok(vips.iter().map(|(vip, entry)| (vip.clone(), backends(entry))).collect())
    }

    /// Waits until every agent has one VIP of `port` with exactly `backends` backends, all
    /// healthy, and returns it as `ip:port`.
    ///
    /// # Errors
    /// [`Error::Timeout`] with what an agent has instead; [`Error::Died`].
    pub fn await_vip(&mut self, port: u16, backends: usize, limit: Duration) -> Result<String> {
        let what = format!("a VIP with {backends} healthy backends on every agent");
        let suffix = format!(":{port}");
        self.wait_for(&what, limit, |cluster| {
            let mut found = None;
            for index in 0..cluster.agents.len() {
                let vips = cluster.vips(index)?;
                let vip = vips.iter().find(|(vip, _)| vip.ends_with(&suffix));
                let complete = vip.filter(|(_, known)| {
                    known.len() == backends && known.values().all(|healthy| *healthy)
                });
                found = complete.map(|(vip, _)| vip.clone());
                ready(found.is_some(), || format!("agent {index} has {vips:?}"))?;
            }
            found.ok_or_else(|| Error::NotYet("there is no agent".into()))
        })
    }

    /// What one needs to see when something did not happen: what waits, what runs, and the ends
    /// of all logs.
    pub fn report(&self) -> String {
        let mut report = String::new();
        for path in ["/v2/queue", "/v2/deployments", "/v2/apps?embed=apps.tasks"] {
            let answer = match self.marathon().send("GET", path, None) {
                Ok(response) => response.body,
                Err(error) => error.to_string(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(report, "--- {path}\n{answer}");
        }
        for machine in std::iter::once(&self.master).chain(&self.agents) {
            let tail = machine.daemon.tail();
            let _ = writeln!(report, "--- {} ({})\n{tail}", machine.hostname, machine.address);
        }
        report
    }

    /// The sandboxes of all tasks there were, on all machines.
    ///
    /// # Errors
    /// [`Error::System`] when a directory can not be read.
    pub fn sandboxes(&self) -> Result<Vec<Sandbox>> {
        let mut found = Vec::new();
        for agent in &self.agents {
            found.extend(sandbox::all(&agent.work.join("work"))?);
        }
        Ok(found)
    }

    /// The first process of the container of the task `id`, if it runs on any machine.
    ///
    /// # Errors
    /// [`Error::System`] when a directory or cgroup can not be read.
    pub fn init_of(&self, task: &str) -> Result<Option<Pid>> {
        let root = cgroup::unified()?.join("muster");
        for sandbox in self.sandboxes()?.into_iter().filter(|sandbox| sandbox.task == task) {
            for agent in &self.agents {
                let container = root.join(agent.name()).join(&sandbox.container);
                if let Some(pid) = process::init(&Cgroup::at(container))? {
                    return Ok(Some(pid));
                }
            }
        }
        Ok(None)
    }

    /// Copies the logs to where they outlive the cluster.
    ///
    /// # Errors
    /// When a file can not be copied.
    pub fn keep_logs(&self) -> std::io::Result<PathBuf> {
        let kept = paths::logs().join(self.id());
        fs::create_dir_all(&kept)?;
        for entry in fs::read_dir(self.instance.work().join("logs"))? {
            let entry = entry?;
            fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
        Ok(kept)
    }
}
