//! Running commands in containers from outside.

use std::sync::Arc;
use std::time::Duration;

use super::{Inner, blocking};
use crate::launch::order::{Entry, Order, Report};
use crate::spec::validate_command;
use crate::{CommandSpec, Error, ExecStatus};

/// How much longer than its command a helper may take to say how that went.
const SLACK: Duration = Duration::from_secs(30);

/// Runs `command` in the container `id`.
pub(super) async fn exec(
    inner: &Arc<Inner>,
    id: &str,
    command: CommandSpec,
    timeout: Duration,
) -> Result<ExecStatus, Error> {
    validate_command(&command)?;
    let subject = inner.running(id)?;
    let inner = Arc::clone(inner);
    let id = id.to_owned();
    let (mut reports, lifeline) = blocking(move || {
        let Some(init) = inner.checkpoints.get(&id).init()? else {
            return Err(Error::NotRunning { id });
        };
        let mut helper = inner.program.start(None)?;
        let plan = &subject.plan;
        let order = Order::Enter(Box::new(Entry {
            init,
            group: plan.group.clone(),
            process: plan.process.with_command(&command),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        }));
        if let Err(error) = helper.command(&order) {
            helper.abandon();
            return Err(error);
        }
        let (pidfd, reports, lifeline) = helper.detach()?;
        // Its end needs no attention, but is to be collected.
        tokio::spawn(crate::helper::ended(pidfd));
        Ok((reports, lifeline))
    })
    .await?;
    let report = tokio::time::timeout(timeout.saturating_add(SLACK), reports.next()).await;
    drop(lifeline);
    match report {
        Ok(Ok(Report::Finished(status))) => Ok(status),
        Ok(Ok(Report::Failed(error))) => Err(error.into()),
        Ok(Ok(Report::Started(_) | Report::Listening)) | Err(_) => Ok(ExecStatus::TimedOut),
        Ok(Err(error)) => Err(error),
    }
}
