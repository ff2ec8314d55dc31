//! Running commands in containers from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::{Inner, detached, killing, launching};
use crate::{ContainerSpec, Error, ExecStatus, Execution, Kind, Origin, Termination};

/// Runs a command in the container `id`: in a container of the kind Debug, with which all that
/// it has started goes.
pub(super) async fn exec(
    inner: &Arc<Inner>,
    id: &str,
    execution: Execution,
    timeout: Duration,
) -> Result<ExecStatus, Error> {
    let spec = ContainerSpec {
        id: unused(),
        parent: Some(id.to_owned()),
        kind: Kind::Debug,
        origin: Origin::Execution,
        command: Some(execution.command),
        environment: execution.environment,
        secrets: execution.secrets,
        user: execution.user,
        ..ContainerSpec::default()
    };
    spec.validate()?;
    let (wanted, unwanted) = oneshot::channel::<()>();
    let inner = Arc::clone(inner);
    let done = detached(async move {
        let name = spec.name();
        let done = tokio::select! {
            done = tokio::time::timeout(timeout, run(&inner, spec)) => done,
            // Whoever wanted it has gone.
            _ = unwanted => Ok(Ok(ExecStatus::TimedOut)),
        };
        match killing::destroy(&inner, &name).await {
            Ok(()) => {}
            // What is left goes with the container around it.
            Err(error) => tracing::warn!(id = name, %error, "cannot remove a command's container"),
        }
        done.unwrap_or(Ok(ExecStatus::TimedOut))
    })
    .await;
    drop(wanted);
    done
}

/// An id that no container of this or an earlier run has.
fn unused() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("check-{:x}-{count}", since.as_nanos())
}

async fn run(inner: &Arc<Inner>, spec: ContainerSpec) -> Result<ExecStatus, Error> {
    let entry = inner.enlist(&spec)?;
    detached(launching::launch(Arc::clone(inner), Arc::clone(&entry), spec)).await?;
    match entry.ended().await? {
        Termination::Exited(status) => Ok(ExecStatus::Exited(status)),
        Termination::Signaled(signal) => Ok(ExecStatus::Signaled(signal)),
        Termination::Limited(limitation) => {
            Err(Error::Lost { id: entry.id().to_owned(), reason: limitation.to_string() })
        }
        Termination::Lost(reason) => Err(Error::Lost { id: entry.id().to_owned(), reason }),
    }
}
