//! Making a container.

use std::sync::Arc;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use muster_containerizer::{Credentials, Logger};

use super::entry::{Entry, State};
use super::{About, Inner, Launched, login, name, place, supervision};
use crate::checkpoint::Row;
use crate::image::Image;
use crate::pull::Pull;
use crate::{Container, Error, request};

/// Launches `container`, or leaves nothing of it.
pub(super) async fn launch(
    inner: Arc<Inner>,
    entry: Arc<Entry>,
    container: Container,
    about: About,
) -> Result<Launched, Error> {
    match start(&inner, &entry, &container, &about).await {
        Ok((launched, row)) => {
            supervision::supervise(&inner, &entry, row);
            Ok(launched)
        }
        Err(error) => {
            // Where the engine has gone meanwhile, what it may have is removed when it is back:
            // the checkpoint is gone, so the container is nobody's.
            let removed = match inner.engine.remove(&name(&container.id)).await {
                Err(Error::NoEngine { .. }) => Ok(()),
                other => other,
            };
            if let Err(error) = removed.and_then(|()| inner.checkpoints.remove(&container.id)) {
                tracing::warn!(container = container.id, %error, "cannot remove a failed launch");
            }
            inner.containers().remove(&container.id);
            entry.set(State::Gone);
            Err(error)
        }
    }
}

async fn start(
    inner: &Inner,
    entry: &Entry,
    container: &Container,
    about: &About,
) -> Result<(Launched, Row), Error> {
    let name = name(&container.id);
    let engine = &inner.engine;
    // The container is to be found also by one who comes after this process.
    let row = Row::new(container.sandbox.clone(), logger(inner, container)?);
    inner.checkpoints.write(&container.id, &row)?;
    let body = request::create(&inner.config, container, about, row.logger)?;
    tokio::select! {
        () = entry.cancelled() => return Err(Error::Cancelled),
        got = get(inner, entry, container) => got?,
    }
    engine.create(&name, body).await?;
    if entry.is_cancelled() {
        return Err(Error::Cancelled);
    }
    engine.start(&name).await?;
    let found = engine.inspect(&name).await?;
    let addresses = place::addresses(&found);
    let state = found.state.unwrap_or_default();
    let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
    entry.set(State::Running);
    Ok((Launched { pid, addresses }, row))
}

/// What becomes of its output, which its variables may change.
fn logger(inner: &Inner, container: &Container) -> Result<Logger, Error> {
    let logger = inner.config.logger.of(&container.environment);
    logger.map_err(|error| match error {
        muster_containerizer::Error::Spec { field, reason } => Error::Spec { field, reason },
        other => Error::Failed { action: "logs", reason: other.to_string() },
    })
}

/// Gets what it needs: its files, then its image, for which these may say who asks.
async fn get(inner: &Inner, entry: &Entry, container: &Container) -> Result<(), Error> {
    let Container { id, uris, sandbox, user, .. } = container;
    let user = user.as_deref().unwrap_or("root");
    inner.config.files.fetch(id, uris, user, sandbox, &entry.fetching).await?;
    let pulled = pull(inner, entry, container).await;
    entry.pulling().take();
    pulled
}

/// Has the engine get the image, unless it has it and need not ask.
async fn pull(inner: &Inner, entry: &Entry, container: &Container) -> Result<(), Error> {
    let image = &container.image;
    if !container.force_pull && inner.engine.has_image(image).await? {
        return Ok(());
    }
    let registry = Image::parse(image).registry().to_owned();
    let sandbox = container.sandbox.clone();
    let own = tokio::task::spawn_blocking(move || login::of_task(&sandbox, &registry)).await;
    let failed = |reason| Error::Pull { image: image.clone(), reason };
    let own = own.map_err(|_| Error::Interrupted)?.map_err(failed)?;
    let found = match own {
        Some(found) if found.remedy().is_none() => Some(found),
        // Those of a program that is not run may be the agent's, too.
        own => {
            let found = inner.config.registries.credentials(Image::parse(image).registry());
            found.map_err(|reason| failed(format!("--docker-config: {reason}")))?.or(own)
        }
    };
    let remedy = found.as_ref().and_then(Credentials::remedy);
    let credentials = found.map(|found| {
        let (username, password) = found.password().unzip();
        let identitytoken = found.identity_token().map(str::to_owned);
        DockerCredentials { username, password, identitytoken, ..DockerCredentials::default() }
    });
    tracing::info!(image, container = container.id, "pulling");
    *entry.pulling() = Some(Pull::new(image));
    let progress = |step: &CreateImageInfo| {
        if let Some(pull) = entry.pulling().as_mut() {
            pull.step(step);
        }
    };
    let pulled = inner.engine.pull(image, credentials, progress).await;
    pulled.map_err(|error| match (error, remedy) {
        (Error::Pull { image, reason }, Some(remedy)) => {
            Error::Pull { image, reason: format!("{reason}; {remedy}") }
        }
        (error, _) => error,
    })
}
