//! Requests to the virtual address from every machine, before, while and after an instance is
//! killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use muster_harness::marathon::Task;
use muster_harness::traffic::{Tally, Traffic};
use muster_harness::{Client, Cluster, Error, ready};
use serde_json::{Value, json};

use super::deploy::{APP, INSTANCES};
use super::stage::Shown;
use crate::ui::Ui;

/// How long all backends may take to be known on every machine, and a replacement to be up.
const WITHIN: Duration = Duration::from_mins(1);

/// Most requests from one machine until every backend has answered. With three backends and a
/// fair choice, one is missed by so many with a probability of 1e-52.
const MOST: usize = 300;

pub(super) fn requests(ui: Ui, cluster: &mut Cluster) -> Result<Shown> {
    let vip = cluster.await_vip(80, INSTANCES, WITHIN)?;
    let url = format!("http://{vip}/");
    let mut lines = vec![format!("/nginx:80 is {vip}")];
    let answers = from_everywhere(cluster, &url, &mut lines)?;

    let before = cluster.marathon().tasks(APP)?;
    let victim = before.first().context("there is no task to kill")?.clone();
    let traffic: Vec<(String, Traffic)> = clients(cluster)?
        .into_iter()
        .map(|(hostname, client)| (hostname, Traffic::start(client, url.clone())))
        .collect();
    let replaced = ui.step("kill an instance and wait for its replacement", |_| {
        kill(cluster, &victim.id)?;
        replacement(cluster, &before)
    });
    let tallies: Vec<(String, Tally)> =
        traffic.into_iter().map(|(hostname, traffic)| (hostname, traffic.stop())).collect();
    let replaced = replaced?;
    lines.push(format!("SIGKILL to {} on {}", victim.id, victim.host));
    lines.push(format!("replaced by {} on {}", replaced.id, replaced.host));
    let meanwhile = judge(&tallies, &mut lines)?;
    let afterwards = from_everywhere(cluster, &url, &mut lines)?;
    Ok(Shown::new(json!({ "vip": vip, "answers": answers, "killed": victim.id,
                          "replacement": replaced.id, "meanwhile": meanwhile,
                          "afterwards": afterwards }))
    .lines(lines))
}

/// Waits until another instance than those in `before` is up and every agent sends requests to
/// it, and returns it.
fn replacement(cluster: &mut Cluster, before: &[Task]) -> Result<Task> {
    let known: BTreeSet<&str> = before.iter().map(|task| task.id.as_str()).collect();
    let new = cluster.wait_for("a replacement to be healthy", WITHIN, |cluster| {
        let tasks = cluster.marathon().tasks(APP)?;
        let up: Vec<_> = tasks.iter().filter(|task| task.is_up()).collect();
        ready(up.len() == INSTANCES, || format!("{} of {INSTANCES} are up", up.len()))?;
        let new = up.into_iter().find(|task| !known.contains(task.id.as_str())).cloned();
        new.ok_or_else(|| Error::NotYet("no new instance yet".into()))
    })?;
    cluster.await_vip(80, INSTANCES, WITHIN)?;
    Ok(new)
}

/// No request may have failed, and there must have been some from everywhere.
fn judge(tallies: &[(String, Tally)], lines: &mut Vec<String>) -> Result<Vec<Value>> {
    for (hostname, Tally { answered, retried, failures }) in tallies {
        if let Some(failure) = failures.first() {
            let count = failures.len();
            bail!("{count} requests from {hostname} failed meanwhile, the first by {failure}");
        }
        if *answered == 0 {
            bail!("there was no request from {hostname} meanwhile");
        }
        lines.push(format!("meanwhile from {hostname}: {answered} answered, {retried} at a retry"));
    }
    let describe = |(hostname, tally): &(String, Tally)| {
        json!({ "from": hostname, "answered": tally.answered, "retried": tally.retried,
                "failed": tally.failures.len() })
    };
    Ok(tallies.iter().map(describe).collect())
}

/// Requests from every machine until every instance has answered there.
fn from_everywhere(cluster: &Cluster, url: &str, lines: &mut Vec<String>) -> Result<Vec<Value>> {
    let mut answers = Vec::new();
    for (hostname, client) in clients(cluster)? {
        let counts = until_all_answered(&client, url)
            .with_context(|| format!("requests to {url} from {hostname}"))?;
        let shares: Vec<String> =
            counts.iter().map(|(task, count)| format!("{count} by {}", short(task))).collect();
        lines.push(format!("from {hostname}: {}", shares.join(", ")));
        answers.push(json!({ "from": hostname, "answers": counts }));
    }
    Ok(answers)
}

/// As much of a task's id as tells it from others: `nginx.instance-59e2fb57`.
fn short(task: &str) -> &str {
    let instance = task.split("._app").next().unwrap_or(task);
    let end = instance.match_indices('-').nth(1).map_or(instance.len(), |(end, _)| end);
    instance.get(..end).unwrap_or(instance)
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
