//! Requests to the virtual address from every machine, before, while and after an instance is
//! killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use muster_harness::traffic::{Tally, Traffic};
use muster_harness::{Client, Cluster, Error, ready};
use serde_json::json;

use super::deploy::{APP, INSTANCES};
use super::stage::Shown;
use crate::ui::Ui;

/// How long all backends may take to be known on every machine, and a replacement to be up.
const WITHIN: Duration = Duration::from_mins(1);

/// Most requests from one machine until every backend has answered. With three backends and a
/// fair choice, one is missed by so many with a probability of 1e-52.
const MOST: usize = 300;

pub(super) fn requests(ui: Ui, cluster: &mut Cluster) -> Result<Shown> {
    let vip = address(cluster)?;
    let url = format!("http://{vip}/");
    let mut lines = vec![format!("/nginx:80 is {vip}")];
    let mut answers = Vec::new();
    for (hostname, client) in clients(cluster)? {
        let counts = until_all_answered(&client, &url)
            .with_context(|| format!("requests to {vip} from {hostname}"))?;
        let shares: Vec<String> =
            counts.iter().map(|(task, count)| format!("{task} {count}")).collect();
        lines.push(format!("from {hostname}: {}", shares.join(", ")));
        answers.push(json!({ "from": hostname, "answers": counts }));
    }

    let before = cluster.marathon().tasks(APP)?;
    let victim = before.first().context("there is no task to kill")?.clone();
    let traffic: Vec<(String, Traffic)> = clients(cluster)?
        .into_iter()
        .map(|(hostname, client)| (hostname, Traffic::start(client, url.clone())))
        .collect();
    let replaced = ui.step("kill an instance and wait for its replacement", |_| {
        kill(cluster, &victim.id)?;
        let known: BTreeSet<String> = before.iter().map(|task| task.id.clone()).collect();
        Ok(cluster.wait_for("a replacement to be healthy", WITHIN, |cluster| {
            let tasks = cluster.marathon().tasks(APP)?;
            let up: Vec<_> = tasks.iter().filter(|task| task.is_up()).collect();
            ready(up.len() == INSTANCES, || format!("{} of {INSTANCES} are up", up.len()))?;
            let new = up.into_iter().find(|task| !known.contains(&task.id)).cloned();
            let new = new.ok_or_else(|| Error::NotYet("no new instance yet".into()))?;
            let backend = format!(":{}", new.ports.first().copied().unwrap_or(0));
            let vips = cluster.vips(0)?;
            let serves = vips.iter().any(|(_, all)| all.iter().any(|one| one.ends_with(&backend)));
            ready(serves, || format!("{} is no backend yet", new.id))?;
            Ok(new)
        })?)
    });
    let tallies: Vec<(String, Tally)> =
        traffic.into_iter().map(|(hostname, traffic)| (hostname, traffic.stop())).collect();
    let replaced = replaced?;
    lines.push(format!("SIGKILL to {} on {}", victim.id, victim.host));
    lines.push(format!("replaced by {} on {}", replaced.id, replaced.host));
    for (hostname, Tally { answered, retried, failures }) in &tallies {
        if let Some(failure) = failures.first() {
            let count = failures.len();
            bail!("{count} requests from {hostname} failed meanwhile, the first by {failure}");
        }
        if *answered == 0 {
            bail!("there was no request from {hostname} meanwhile");
        }
        lines.push(format!("meanwhile from {hostname}: {answered} answered, {retried} at a retry"));
    }
    let meanwhile: Vec<_> = tallies
        .iter()
        .map(|(hostname, tally)| {
            json!({ "from": hostname, "answered": tally.answered, "retried": tally.retried,
                    "failed": tally.failures.len() })
        })
        .collect();
    Ok(Shown::new(json!({ "vip": vip, "answers": answers, "killed": victim.id,
                          "replacement": replaced.id, "meanwhile": meanwhile }))
    .lines(lines))
}

/// The application's VIP, once every agent has all its backends.
fn address(cluster: &mut Cluster) -> Result<String> {
    let vip = cluster.wait_for("every agent to know all backends", WITHIN, |cluster| {
        let mut found = String::new();
        for index in 0..cluster.agents().len() {
            let vips = cluster.vips(index)?;
            let vip = vips.iter().find(|(vip, _)| vip.starts_with("11.") && vip.ends_with(":80"));
            let (vip, backends) = vip.ok_or_else(|| Error::NotYet(format!("vips: {vips:?}")))?;
            ready(backends.len() == INSTANCES, || format!("{vip} has {backends:?}"))?;
            vip.clone_into(&mut found);
        }
        Ok(found)
    });
    Ok(vip?)
}

fn clients(cluster: &Cluster) -> Result<Vec<(String, Client)>> {
    cluster
        .agents()
        .iter()
        .map(|agent| Ok((agent.hostname().to_owned(), agent.client()?)))
        .collect()
}

/// Requests until every instance has answered; how often each did, by task id.
fn until_all_answered(client: &Client, url: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for _ in 0..MOST {
        let page = client.get(url)?.success()?.body;
        let task = page.lines().find_map(|line| line.strip_prefix("task "));
        let task = task.with_context(|| format!("the page names no task: {page:?}"))?;
        *counts.entry(task.to_owned()).or_insert(0) += 1;
        if counts.len() == INSTANCES {
            return Ok(counts);
        }
    }
    bail!("of {INSTANCES} instances only {counts:?} answered {MOST} requests")
}

/// SIGKILL to the first process of the task's container.
fn kill(cluster: &Cluster, task: &str) -> Result<()> {
    let pid = cluster.init_of(task)?.with_context(|| format!("{task} has no process"))?;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
        .with_context(|| format!("kill {pid}"))
}
