//! Watching a container until it has ended.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use muster_containerizer::{Amount, Cause, Limitation, Termination};

use super::entry::{Entry, State};
use super::{Inner, logs, name};
use crate::Error;
use crate::checkpoint::Row;

/// Pause before an engine that does not answer is asked again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How long the rest of its output is waited for after a container has ended.
const REST: Duration = Duration::from_secs(30);
const KILLED: i64 = 128 + 9;

/// Watches a container from now on. An engine that goes away is waited for: its containers may
/// go on without it, and if not it says how they ended.
pub(super) fn supervise(inner: &Arc<Inner>, entry: &Arc<Entry>, row: Row) {
    let (inner, entry) = (Arc::clone(inner), Arc::clone(entry));
    tokio::spawn(async move {
        let id = entry.id().to_owned();
        let mut output = tokio::spawn(logs::follow(Arc::clone(&inner), id.clone(), row));
        let how = ended(&inner, &id).await;
        if tokio::time::timeout(REST, &mut output).await.is_err() {
            tracing::warn!(container = id, "the engine does not end a container's output");
            output.abort();
        }
        if entry.state() == State::Running {
            entry.set(State::Ended(how));
        }
    });
}

/// How a container ended, once it has.
async fn ended(inner: &Inner, id: &str) -> Termination {
    let name = name(id);
    loop {
        match inner.engine.inspect(&name).await {
            Ok(found) => {
                if let Some(how) = termination(&found) {
                    return how;
                }
                if inner.engine.wait(&name).await.is_ok() {
                    continue;
                }
            }
            Err(error) if error.is_missing() => {
                return Termination::Lost("the container was removed from the engine".into());
            }
            Err(error @ Error::NoEngine { .. }) => {
                tracing::debug!(container = id, %error, "waiting for the engine");
            }
            Err(error) => tracing::warn!(container = id, %error, "cannot watch a container"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How a container ended; `None` while it has not.
pub(super) fn termination(found: &ContainerInspectResponse) -> Option<Termination> {
    let state = found.state.as_ref()?;
    match state.status? {
        Status::EXITED | Status::DEAD => {}
        Status::CREATED => {
            return Some(Termination::Lost("the agent stopped before it was started".into()));
        }
        _ => return None,
    }
    let code = state.exit_code.unwrap_or_default();
    if state.oom_killed == Some(true) && code == KILLED {
        let limit = found.host_config.as_ref().and_then(|host| host.memory).unwrap_or_default();
        let megabytes = limit >> 20;
        let milli = u64::try_from(megabytes).unwrap_or_default() * 1000;
        return Some(Termination::Limited(Limitation {
            cause: Cause::Memory,
            message: format!("Memory limit exceeded: Requested: {megabytes}MB"),
            resources: vec![Amount { name: "mem".into(), milli }],
        }));
    }
    Some(Termination::Exited(i32::try_from(code).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerState;

    use super::*;

    fn of(status: Status, code: i64, oom: bool) -> Option<Termination> {
        let state = ContainerState {
            status: Some(status),
            exit_code: Some(code),
            oom_killed: Some(oom),
            ..ContainerState::default()
        };
        let state = Some(state);
        termination(&ContainerInspectResponse { state, ..ContainerInspectResponse::default() })
    }

    #[test]
    fn the_engines_states_are_ends_or_not() {
        for status in [Status::RUNNING, Status::PAUSED, Status::RESTARTING, Status::REMOVING] {
            assert_eq!(of(status, 0, false), None);
        }
        assert_eq!(of(Status::EXITED, 3, false), Some(Termination::Exited(3)));
        // A child was killed, and the command made the best of it.
        assert_eq!(of(Status::EXITED, 0, true), Some(Termination::Exited(0)));
        assert!(matches!(of(Status::EXITED, 137, true), Some(Termination::Limited(_))));
        assert!(matches!(of(Status::CREATED, 0, false), Some(Termination::Lost(_))));
    }
}
