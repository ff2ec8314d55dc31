//! What a task has printed.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::cluster::{Cluster, Found};

/// How often one who follows asks.
const PAUSE: Duration = Duration::from_millis(500);

/// A part of a log, as it was answered.
struct Part {
    data: String,
    /// Where it begins; the log's size if there is nothing.
    offset: u64,
    /// Bytes of the log that it is.
    length: u64,
}

/// Prints the log `name` of a task; if `follow`, until the task has ended and all is printed.
pub(super) fn print(
    cluster: &Cluster,
    task: &str,
    name: &str,
    follow: bool,
    target: &mut impl Write,
) -> anyhow::Result<()> {
    let mut task = cluster.task(task)?;
    let mut offset = 0;
    loop {
        // Asked before the log: what it printed at last is read then.
        let ended = task.ended;
        let before = offset;
        advance(cluster, &task, name, &mut offset, target)?;
        target.flush()?;
        if !follow || ended {
            return Ok(());
        }
        if offset == before {
            pause();
            task = cluster.task(&task.id)?;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a command line has nothing else to do")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Prints all that is there from `offset` on.
fn advance(
    cluster: &Cluster,
    task: &Found,
    name: &str,
    offset: &mut u64,
    target: &mut impl Write,
) -> anyhow::Result<()> {
    loop {
        let part = read(cluster, task, name, *offset)?;
        let Some(part) = part else {
            bail!("the agent has no log {name} of {}: it may be too old", task.id)
        };
        if part.length > 0 {
            target.write_all(part.data.as_bytes())?;
            *offset = part.offset + part.length;
            continue;
        }
        if part.offset >= *offset {
            return Ok(());
        }
        // It was exchanged: the rest is in its predecessor, if there is one.
        let older = format!("{name}.1");
        while let Some(rest) = read(cluster, task, &older, *offset)?
            && rest.length > 0
        {
            target.write_all(rest.data.as_bytes())?;
            *offset = rest.offset + rest.length;
        }
        *offset = 0;
    }
}

fn read(cluster: &Cluster, task: &Found, name: &str, offset: u64) -> anyhow::Result<Option<Part>> {
    let Some(agent) = &task.agent else {
        bail!("the agent of {}, {}, is not registered", task.id, task.host)
    };
    let (framework, executor) = (&task.framework, &task.executor);
    let path = format!("/frameworks/{framework}/executors/{executor}/runs/latest/{name}");
    let offset = offset.to_string();
    let query = [("path", path.as_str()), ("offset", offset.as_str())];
    let Some(answer) = cluster.ask(agent, "/files/read", &query)? else { return Ok(None) };
    let number = |name: &str| answer[name].as_u64().with_context(|| format!("no {name}"));
    let data = answer["data"].as_str().context("no data")?.to_owned();
    Ok(Some(Part { data, offset: number("offset")?, length: number("length")? }))
}
