//! The engine, spoken to one request at a time: it may come and go.

use std::path::PathBuf;

use bollard::errors::Error as ApiError;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStatsResponse, ContainerSummary,
    ContainerUpdateBody, CreateImageInfo, SystemInfo,
};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, KillContainerOptions, ListContainersOptions,
    LogsOptions, RemoveContainerOptions, StatsOptions, WaitContainerOptions,
};
use bollard::{ClientVersion, auth::DockerCredentials};
use futures::{Stream, StreamExt};

use crate::image::Image;
use crate::{Error, label};

/// The API of Docker 20.10, which later ones have too.
const VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };
/// Seconds until an answer has to begin. Creating a container copies nothing, but the disk may
/// be busy.
const TIMEOUT: u64 = 300;

#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) socket: PathBuf,
}

impl Engine {
    pub(crate) fn client(&self) -> Result<bollard::Docker, Error> {
        let path = self.socket.to_string_lossy();
        let client = bollard::Docker::connect_with_unix(&path, TIMEOUT, &VERSION);
        client.map_err(|error| self.failed("connect")(error))
    }

    fn failed(&self, action: &'static str) -> impl Fn(ApiError) -> Error {
        let socket = self.socket.clone();
        move |error| match error {
            ApiError::DockerResponseServerError { status_code, message } => {
                Error::Refused { action, status: status_code, reason: message }
            }
            ApiError::JsonDataError { .. }
            | ApiError::JsonSerdeError { .. }
            | ApiError::RequestTimeoutError
            | ApiError::DockerStreamError { .. } => {
                Error::Failed { action, reason: error.to_string() }
            }
            other => Error::NoEngine { socket: socket.clone(), reason: describe(&other) },
        }
    }

    /// What it says of itself.
    pub(crate) async fn info(&self) -> Result<SystemInfo, Error> {
        self.client()?.info().await.map_err(self.failed("info"))
    }

    pub(crate) async fn has_image(&self, image: &str) -> Result<bool, Error> {
        match self.client()?.inspect_image(image).await.map_err(self.failed("inspect image")) {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn pull(
        &self,
        image: &str,
        credentials: Option<DockerCredentials>,
        progress: impl Fn(&CreateImageInfo),
    ) -> Result<(), Error> {
        let parsed = Image::parse(image);
        let options = CreateImageOptions {
            from_image: Some(parsed.name),
            tag: Some(parsed.tag),
            ..CreateImageOptions::default()
        };
        let failed = |error: Error| match error {
            error @ Error::NoEngine { .. } => error,
            Error::Refused { reason, .. } | Error::Failed { reason, .. } => {
                Error::Pull { image: image.to_owned(), reason }
            }
            other => Error::Pull { image: image.to_owned(), reason: other.to_string() },
        };
        let client = self.client()?;
        let mut steps = std::pin::pin!(client.create_image(Some(options), None, credentials));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| failed(self.failed("pull")(error)))?;
            progress(&step);
            if let Some(message) = step.error_detail.and_then(|detail| detail.message) {
                return Err(Error::Pull { image: image.to_owned(), reason: message });
            }
        }
        Ok(())
    }

    pub(crate) async fn create(&self, name: &str, body: ContainerCreateBody) -> Result<(), Error> {
        let name = Some(name.to_owned());
        let options = CreateContainerOptions { name, ..CreateContainerOptions::default() };
        let created = self.client()?.create_container(Some(options), body).await;
        let created = created.map_err(self.failed("create"))?;
        for warning in created.warnings {
            tracing::warn!(warning, "the engine warns of a container");
        }
        Ok(())
    }

    pub(crate) async fn start(&self, name: &str) -> Result<(), Error> {
        let started = self.client()?.start_container(name, None).await;
        started.map_err(self.failed("start"))
    }

    pub(crate) async fn inspect(&self, name: &str) -> Result<ContainerInspectResponse, Error> {
        let found = self.client()?.inspect_container(name, None).await;
        found.map_err(self.failed("inspect"))
    }

    /// Sends a signal. A container that does not run any more is as good.
    pub(crate) async fn kill(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptions { signal: signal.to_owned() };
        let killed = self.client()?.kill_container(name, Some(options)).await;
        match killed.map_err(self.failed("kill")) {
            Err(error) if error.is_missing() || error.is_conflict() => Ok(()),
            other => other,
        }
    }

    /// Removes a container and its nameless volumes, running or not. None is as good.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        let removed = self.client()?.remove_container(name, Some(options)).await;
        match removed.map_err(self.failed("rm")) {
            Err(error) if error.is_missing() => Ok(()),
            other => other,
        }
    }

    pub(crate) async fn update(&self, name: &str, body: ContainerUpdateBody) -> Result<(), Error> {
        let updated = self.client()?.update_container(name, body).await;
        updated.map_err(self.failed("update"))
    }

    /// All containers of `agent`, whatever their state.
    pub(crate) async fn list(&self, agent: &str) -> Result<Vec<ContainerSummary>, Error> {
        let filter = vec![format!("{}={agent}", label::AGENT)];
        let options = ListContainersOptions {
            all: true,
            filters: Some([("label".to_owned(), filter)].into()),
            ..ListContainersOptions::default()
        };
        self.client()?.list_containers(Some(options)).await.map_err(self.failed("ps"))
    }

    /// Returns when the container does not run any more, or the engine went away.
    pub(crate) async fn wait(&self, name: &str) -> Result<(), Error> {
        let client = self.client()?;
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        let mut ends = std::pin::pin!(client.wait_container(name, Some(options)));
        match ends.next().await {
            Some(Ok(_) | Err(ApiError::DockerContainerWaitError { .. })) | None => Ok(()),
            Some(Err(error)) => Err(self.failed("wait")(error)),
        }
    }

    /// All that it has written, from its start or a second on, if wanted each part after its time;
    /// ends when it has ended.
    pub(crate) fn logs(
        client: &bollard::Docker,
        name: &str,
        since: i32,
        timestamps: bool,
    ) -> impl Stream<Item = Result<bollard::container::LogOutput, ApiError>> + use<> {
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            since,
            timestamps,
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        client.logs(name, Some(options))
    }

    pub(crate) async fn stats(&self, name: &str) -> Result<ContainerStatsResponse, Error> {
        let client = self.client()?;
        let options = StatsOptions { stream: false, one_shot: true };
        let mut stats = std::pin::pin!(client.stats(name, Some(options)));
        match stats.next().await {
            Some(stats) => stats.map_err(self.failed("stats")),
            None => Err(Error::Failed { action: "stats", reason: "no answer".into() }),
        }
    }
}

/// An error with what lies below it: "client error (Connect)" alone says nothing.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        let more = below.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = below.source();
    }
    text
}
