//! `WAIT_CONTAINER`, `KILL_CONTAINER` and `REMOVE_CONTAINER`, and the same of nested ones.
#![expect(deprecated, reason = "operators' tools say it")]

use axum::http::StatusCode;
use muster_api::mesos::ContainerId;
use muster_api::mesos::agent::call::Type;
use muster_api::mesos::agent::response::{Type as Kind, WaitContainer, WaitNestedContainer};
use muster_api::mesos::agent::{Call, Response};
use muster_containerizer::{Error, Termination, remove_tree, split_id};

use super::super::Look;
use super::super::call::{Refusal, bad_request};
use super::launch::{missing, nested, on_disk};
use super::{broken, needed, of};
use crate::agent::{News, container_name};

/// The call's field, the container that it names, and a signal.
fn target(kind: Type, call: &Call) -> Result<(&'static str, String, Option<i32>), Refusal> {
    type Named<'a> = Option<(&'a ContainerId, Option<i32>)>;
    let (field, named): (_, Named<'_>) = match kind {
        Type::WaitNestedContainer => {
            let call = call.wait_nested_container.as_ref();
            ("wait_nested_container", call.map(|call| (&call.container_id, None)))
        }
        Type::KillContainer => {
            let call = call.kill_container.as_ref();
            ("kill_container", call.map(|call| (&call.container_id, call.signal)))
        }
        Type::KillNestedContainer => {
            let call = call.kill_nested_container.as_ref();
            ("kill_nested_container", call.map(|call| (&call.container_id, call.signal)))
        }
        Type::RemoveContainer => {
            let call = call.remove_container.as_ref();
            ("remove_container", call.map(|call| (&call.container_id, None)))
        }
        Type::RemoveNestedContainer => {
            let call = call.remove_nested_container.as_ref();
            ("remove_nested_container", call.map(|call| (&call.container_id, None)))
        }
        _ => {
            let call = call.wait_container.as_ref();
            ("wait_container", call.map(|call| (&call.container_id, None)))
        }
    };
    let (id, signal) = needed(named.as_ref(), field)?;
    let name = container_name(&format!("{field}.container_id"), id)
        .map_err(|invalid| bad_request(invalid.to_string()))?;
    if matches!(
        kind,
        Type::WaitNestedContainer | Type::KillNestedContainer | Type::RemoveNestedContainer
    ) {
        nested(field, id)?;
    }
    Ok((field, name, *signal))
}

/// Waits for a container's end.
pub(super) async fn wait(look: &Look, kind: Type, call: &Call) -> Result<Response, Refusal> {
    let (_, name, _) = target(kind, call)?;
    let how = match look.containers.own().wait(&name).await {
        Ok(how) => how,
        Err(Error::NotFound { .. }) => look.sessions.end_of(&name).ok_or_else(|| missing(&name))?,
        Err(error) => return Err(broken(&error)),
    };
    let end = end(&how);
    Ok(match kind {
        Type::WaitNestedContainer => {
            let WaitContainer { exit_status, state, reason, limitation, message } = end;
            let end = WaitNestedContainer { exit_status, state, reason, limitation, message };
            Response { wait_nested_container: Some(end), ..of(Kind::WaitNestedContainer) }
        }
        _ => Response { wait_container: Some(end), ..of(Kind::WaitContainer) },
    })
}

/// How a container ended, in Mesos' words: the status is that of wait(2).
fn end(how: &Termination) -> WaitContainer {
    match how {
        Termination::Exited(status) => {
            WaitContainer { exit_status: Some(status << 8), ..WaitContainer::default() }
        }
        Termination::Signaled(signal) => {
            WaitContainer { exit_status: Some(*signal), ..WaitContainer::default() }
        }
        Termination::Limited(_) | Termination::Lost(_) => {
            let news = News::ended(how, None);
            WaitContainer {
                exit_status: None,
                state: Some(news.state.into()),
                reason: news.reason.map(Into::into),
                limitation: news.limitation,
                message: news.message,
            }
        }
    }
}

/// Sends a signal, which is SIGKILL if none is said.
pub(super) fn kill(look: &Look, kind: Type, call: &Call) -> Result<StatusCode, Refusal> {
    let (field, name, signal) = target(kind, call)?;
    match look.containers.own().signal(&name, signal.unwrap_or(nix::libc::SIGKILL)) {
        Ok(()) => Ok(StatusCode::OK),
        Err(Error::NotFound { .. } | Error::NotRunning { .. }) => {
            let problem = format!("Container '{name}' cannot be found (or is already killed)");
            Err(Refusal::new(StatusCode::NOT_FOUND, problem))
        }
        Err(error @ Error::Spec { .. }) => Err(bad_request(format!("{field}.{error}"))),
        Err(error) => Err(broken(&error)),
    }
}

/// Removes a container of an operator's that has ended, with its sandbox. As in Mesos, one that
/// is not there is fine.
pub(super) async fn remove(look: &Look, kind: Type, call: &Call) -> Result<StatusCode, Refusal> {
    let (field, name, _) = target(kind, call)?;
    let (parent, id) = split_id(&name);
    let (owned, sandbox) =
        look.agent(|agent| (agent.has_container(&name), agent.settings().operated_sandbox(id)));
    if owned {
        let problem = format!("{field}.container_id is that of a task or executor: kill that");
        return Err(bad_request(problem));
    }
    let own = look.containers.own().clone();
    own.remove(&name).await.map_err(|error| broken(&error))?;
    look.sessions.forget(&name);
    if parent.is_some() {
        return Ok(StatusCode::OK);
    }
    let sessions = look.sessions.clone();
    // To its end, whether somebody waits for that or not.
    let removed = tokio::spawn(async move {
        let _turn = sessions.turn(&name).await;
        // What a removal left that was cut short, unless there is another of that id by now.
        if !own.knows(&name) {
            on_disk(sandbox, remove_tree).await?;
        }
        Ok(StatusCode::OK)
    });
    removed.await.map_err(|error| broken(&error))?
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::TaskState;
    use muster_containerizer::{Cause, Limitation};

    use super::*;

    #[test]
    fn ends_are_those_of_wait() {
        assert_eq!(end(&Termination::Exited(3)).exit_status, Some(0x300));
        assert_eq!(end(&Termination::Signaled(9)).exit_status, Some(9));
        let limitation =
            Limitation { cause: Cause::Memory, message: "much".into(), resources: Vec::new() };
        let end = end(&Termination::Limited(limitation));
        assert_eq!((end.exit_status, end.state()), (None, TaskState::TaskFailed));
        assert_eq!(end.message(), "much");
    }
}
