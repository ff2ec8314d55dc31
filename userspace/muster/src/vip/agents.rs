//! Asking agents what their data planes do.

use std::io::{self, Write};

use anyhow::{Context as _, bail};
use muster_dataplane::Report;

use super::merge::merge;
use crate::address::with_port;
use crate::task::cluster::Cluster;

/// Whom to ask.
pub(super) struct Agents {
    cluster: Cluster,
    /// The agent's address; all that the master has, without.
    one: Option<String>,
}

impl Agents {
    /// The agent at `HOST` or `HOST:PORT`.
    pub(super) fn one(address: &str) -> Self {
        Self { cluster: Cluster::at(""), one: Some(with_port(address, 5051)) }
    }

    /// Those of the master at `HOST` or `HOST:PORT`.
    pub(super) fn of(master: &str) -> Self {
        Self { cluster: Cluster::at(master), one: None }
    }

    /// What they tell, together. Of several, those that do not answer are named, and left out.
    pub(super) fn report(&self) -> anyhow::Result<Report> {
        if let Some(agent) = &self.one {
            return self.ask(agent);
        }
        let agents = self.cluster.agents()?;
        if agents.is_empty() {
            bail!("the master has no agents");
        }
        let mut reports = Vec::new();
        let mut failed = None;
        for agent in &agents {
            match self.ask(agent) {
                Ok(report) => reports.push(report),
                Err(error) => {
                    if let Some(earlier) = failed.replace(error) {
                        say(&earlier);
                    }
                }
            }
        }
        match failed {
            Some(error) if reports.is_empty() => Err(error),
            failed => {
                if let Some(error) = failed {
                    say(&error);
                }
                Ok(merge(reports))
            }
        }
    }

    fn ask(&self, agent: &str) -> anyhow::Result<Report> {
        let Some(answer) = self.cluster.ask(agent, "/monitor/vips", &[])? else {
            bail!("the agent at {agent} has no /monitor/vips; is another port than its own given?")
        };
        serde_json::from_value(answer)
            .with_context(|| format!("the answer of the agent at {agent} is no report of VIPs"))
    }
}

fn say(error: &anyhow::Error) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "muster vip: {error:#}");
}
