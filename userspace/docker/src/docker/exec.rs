//! What is asked of a running container from inside.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::StreamExt;
use muster_containerizer::{CommandSpec, ExecStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Inner, name};
use crate::Error;

/// Runs a command in a container.
pub(super) async fn exec(
    inner: &Inner,
    id: &str,
    command: CommandSpec,
    timeout: Duration,
) -> Result<ExecStatus, Error> {
    inner.running(id)?;
    let argv = match command {
        CommandSpec::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line],
        CommandSpec::Argv(argv) => argv,
    };
    let failed =
        |error: bollard::errors::Error| Error::Failed { action: "exec", reason: error.to_string() };
    let client = inner.engine.client()?;
    let config = ExecConfig {
        cmd: Some(argv),
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
            let found = client.inspect_exec(&exec).await.map_err(failed)?;
            let pid = found.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|&pid| pid > 1);
            if let (Some(true), Some(pid)) = (found.running, pid) {
                // It leads a session of its own, so this is all it started. It may just have
                // ended.
                let pid = Pid::from_raw(-pid);
                if let Err(error) = kill(pid, Signal::SIGKILL) {
                    tracing::debug!(container = id, %error, "a command in a container has ended");
                }
            }
            Ok(ExecStatus::TimedOut)
        }
    }
}

/// Where its network is, and its addresses there.
pub(super) async fn network(
    inner: &Inner,
    id: &str,
) -> Result<Option<(OwnedFd, Vec<IpAddr>)>, Error> {
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
    let networks = found.network_settings.and_then(|settings| settings.networks);
    let addresses = networks.unwrap_or_default().into_values().flat_map(|endpoint| {
        [endpoint.ip_address, endpoint.global_ipv6_address].into_iter().flatten()
    });
    let addresses = addresses.filter_map(|address| address.parse().ok()).collect();
    Ok(Some((namespace.into(), addresses)))
}
