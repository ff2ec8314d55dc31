//! `LAUNCH_CONTAINER` and `LAUNCH_NESTED_CONTAINER`.
#![expect(deprecated, reason = "operators' tools say it")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use muster_api::mesos::agent::Call;
use muster_api::mesos::agent::call::Type;
use muster_api::mesos::{ContainerId, TaskInfo};
use muster_containerizer::{ContainerSpec, Error, remove_tree};
use tokio::task::spawn_blocking;

use super::super::Look;
use super::super::call::{Refusal, bad_request};
use super::{broken, needed};
use crate::agent::{Operated, container_name, operated};

/// Launches: 200 when its command runs, 202 if there is a container of that id.
pub(super) async fn launch(look: &Look, kind: Type, call: &Call) -> Result<StatusCode, Refusal> {
    let (field, id, info) = asked(kind, call)?;
    if kind == Type::LaunchNestedContainer {
        nested(field, id)?;
    }
    let spec = spec(look, field, id, &info, Operated::Container)?;
    let (own, sessions) = (look.containers.own().clone(), look.sessions.clone());
    let name = spec.name();
    // To its end, whether somebody waits for that or not.
    let launched = tokio::spawn(async move {
        // Of several launches with one id at one moment, none takes away the sandbox of another.
        let _turn = sessions.turn(&name).await;
        let mut made = None;
        if spec.parent.is_none() && on_disk(spec.sandbox.clone(), make).await? {
            made = Some(spec.sandbox.clone());
        }
        match own.launch(spec).await {
            Ok(_) => Ok(StatusCode::OK),
            Err(Error::Exists { .. }) => Ok(StatusCode::ACCEPTED),
            Err(error) => {
                // Another one's, of the same id, is not to be touched.
                if let Some(sandbox) = made {
                    on_disk(sandbox, remove_tree).await?;
                }
                Err(refusal(field, &error))
            }
        }
    });
    launched.await.map_err(|error| broken(&error))?
}

/// The call's field, whom it names, and what it asks for, in the words of a task.
fn asked(kind: Type, call: &Call) -> Result<(&'static str, &ContainerId, TaskInfo), Refusal> {
    if kind == Type::LaunchNestedContainer {
        let field = "launch_nested_container";
        let asked = needed(call.launch_nested_container.as_ref(), field)?;
        let (command, container) = (asked.command.clone(), asked.container.clone());
        let info = TaskInfo { command, container, ..TaskInfo::default() };
        return Ok((field, &asked.container_id, info));
    }
    let field = "launch_container";
    let asked = needed(call.launch_container.as_ref(), field)?;
    let info = TaskInfo {
        command: asked.command.clone(),
        container: asked.container.clone(),
        resources: asked.resources.clone(),
        limits: asked.limits.clone(),
        ..TaskInfo::default()
    };
    Ok((field, &asked.container_id, info))
}

/// The container to launch, if the agent may do so now.
pub(super) fn spec(
    look: &Look,
    field: &str,
    id: &ContainerId,
    info: &TaskInfo,
    how: Operated,
) -> Result<ContainerSpec, Refusal> {
    let invalid = |problem: String| bad_request(format!("{field}.{problem}"));
    let name = container_name("container_id", id).map_err(|error| invalid(error.to_string()))?;
    look.agent(|agent| {
        if !agent.recovered() {
            let problem = "the agent has not recovered yet";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem));
        }
        operated(agent.settings(), &name, info, how).map_err(|error| invalid(error.to_string()))
    })
}

/// Checks that a container is named as one in another.
pub(super) fn nested(field: &str, id: &ContainerId) -> Result<(), Refusal> {
    if id.parent.is_none() {
        let problem = format!("{field}.container_id.parent is not set, and needed");
        return Err(bad_request(problem));
    }
    Ok(())
}

/// How the containerizer's refusal is told: as in Mesos it is the caller's fault.
pub(super) fn refusal(field: &str, error: &Error) -> Refusal {
    match error {
        Error::NotFound { id } => missing(id),
        Error::Spec { .. } => bad_request(format!("{field}.{error}")),
        error => bad_request(error.to_string()),
    }
}

/// How it is told that a container cannot be attached to. As in Mesos, one in a container that is
/// there has ended: clients go on after that.
pub(super) fn unattachable(look: &Look, name: &str, error: &Error) -> Refusal {
    let root = name.split('/').next().unwrap_or(name);
    match error {
        Error::NotAttachable { .. } => bad_request(error.to_string()),
        Error::NotFound { .. } if look.containers.own().status(root).is_err() => missing(name),
        error => broken(error),
    }
}

pub(super) fn missing(id: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("Container {id} cannot be found"))
}

/// Makes a sandbox; `false` if there is one.
fn make(sandbox: &Path) -> io::Result<bool> {
    if let Some(parent) = sandbox.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::create_dir(sandbox) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Does something with a sandbox where that may block.
pub(super) async fn on_disk<T: Send + 'static>(
    sandbox: PathBuf,
    act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let at = sandbox.display().to_string();
    let done = spawn_blocking(move || act(&sandbox)).await.map_err(|error| broken(&error))?;
    done.map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("sandbox {at}: {error}"))
    })
}
