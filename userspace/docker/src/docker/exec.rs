//! What is asked of a running container from inside.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::StreamExt;
use muster_containerizer::{CommandSpec, ExecStatus, Execution};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Inner, name};
use crate::Error;

/// Runs a command in a container.
pub(super) async fn exec(
    inner: &Inner,
    id: &str,
    execution: Execution,
    timeout: Duration,
) -> Result<ExecStatus, Error> {
    inner.running(id)?;
    if let Some((name, _)) = execution.secrets.first() {
        let reason = format!("the engine would show the secret variable {name}");
        return Err(Error::Failed { action: "exec", reason });
    }
    let argv = match execution.command {
        CommandSpec::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line],
        CommandSpec::Argv(argv) => argv,
    };
    let failed =
        |error: bollard::errors::Error| Error::Failed { action: "exec", reason: error.to_string() };
    let client = inner.engine.client()?;
    let mark = mark();
    let variables =
        execution.environment.into_iter().map(|(name, value)| format!("{name}={value}"));
    let config = ExecConfig {
        cmd: Some(argv),
        env: Some(variables.chain([mark.clone()]).collect()),
        user: execution.user,
        // Its end is when its output ends.
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = client.create_exec(&name(id), config).await.map_err(failed)?.id;
    let run = async {
        let started = client.start_exec(&exec, None::<StartExecOptions>).await.map_err(failed)?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                part.map_err(failed)?;
            }
        }
        loop {
            let found = client.inspect_exec(&exec).await.map_err(failed)?;
            match found.exit_code {
                Some(code) if found.running != Some(true) => return Ok(code),
                // Its output may be closed before it ends.
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(code)) => Ok(ExecStatus::Exited(i32::try_from(code).unwrap_or(i32::MAX))),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            kill_marked(inner, id, mark).await?;
            Ok(ExecStatus::TimedOut)
        }
    }
}

/// A variable by which all that a command starts is known, wherever that goes.
fn mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("MUSTER_CHECK={:x}-{}", since.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// How often, and how long apart, what a command has started is looked for.
const ROUNDS: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// Kills what has the variable `mark` in the container: the engine has no name for what was
/// started in one from outside. What forks meanwhile is found in the next round.
async fn kill_marked(inner: &Inner, id: &str, mark: String) -> Result<(), Error> {
    let found = inner.engine.inspect(&name(id)).await?;
    let pid = found.state.and_then(|state| state.pid).filter(|&pid| pid > 0);
    // With the container all of it has gone.
    let Some(pid) = pid else { return Ok(()) };
    for _ in 0..ROUNDS {
        let mark = mark.clone();
        let round = tokio::task::spawn_blocking(move || {
            unified(pid).map_or(0, |group| kill_once(&group, mark.as_bytes()))
        });
        if !matches!(round.await, Ok(1..)) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::warn!(container = id, "what a command in a container has started cannot be killed");
    Ok(())
}

/// The cgroup of a process in the v2 tree, if it is there.
pub(super) fn unified(pid: i64) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// Kills every process of the group that has the variable; how many there were.
fn kill_once(group: &str, mark: &[u8]) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_it = numbers.filter(|&pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark)
            && unified(pid.into()).as_deref() == Some(group)
    });
    // That one has just ended is as good.
    of_it.filter(|&pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()).count()
}

/// Where its network is; `None` is the host's.
pub(super) async fn network(inner: &Inner, id: &str) -> Result<Option<OwnedFd>, Error> {
    inner.running(id)?;
    let found = inner.engine.inspect(&name(id)).await?;
    let mode = found.host_config.and_then(|host| host.network_mode);
    if mode.as_deref() == Some("host") {
        return Ok(None);
    }
    let pid = found.state.and_then(|state| state.pid).filter(|&pid| pid > 0);
    let Some(pid) = pid else { return Err(Error::NotRunning { id: id.to_owned() }) };
    let path = format!("/proc/{pid}/ns/net");
    let namespace = std::fs::File::open(&path).map_err(Error::io("open", path))?;
    Ok(Some(namespace.into()))
}
