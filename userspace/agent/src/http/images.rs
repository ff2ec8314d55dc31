//! `/images`: the image store. Mesos has only `PRUNE_IMAGES` for it.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_containerizer::{
    Collected, Containerizer, ImageError, Pulling, StoredImage, check_image_name,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Look;
use super::call::{Refusal, bad_request};
use crate::Error;
use crate::containers::Containers;

/// How often who pulls is told how far that is.
const TICK: Duration = Duration::from_millis(200);

/// Which image.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

/// What is to be pulled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    /// Whether the registry is asked what a tag stands for though that is known.
    #[serde(default)]
    force: bool,
}

/// What there is, and what is on its way.
pub(super) async fn list(State(look): State<Look>) -> Result<Json<Value>, Refusal> {
    let images = of(&look, Containerizer::images).await?;
    let pulling = look.containers.all_pulling();
    Ok(Json(json!({
        "images": images.iter().map(image).collect::<Vec<_>>(),
        "pulling": pulling.iter().map(progress).collect::<Vec<_>>(),
    })))
}

/// Removes one image.
pub(super) async fn remove(
    State(look): State<Look>,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(Named { name }) = named.map_err(|error| bad_request(error.body_text()))?;
    let Collected { images, bytes } = of(&look, move |own| own.remove_image(&name)).await?;
    Ok(Json(json!({ "images": images, "bytes": bytes })))
}

/// Pulls one image. The answer has a line of JSON whenever it has come further, and a last one:
/// `image`, or `error`. The pull goes on if nobody listens any more.
pub(super) async fn pull(State(look): State<Look>, body: Bytes) -> Result<Response, Refusal> {
    let wanted: Wanted =
        serde_json::from_slice(&body).map_err(|error| bad_request(error.to_string()))?;
    check_image_name(&wanted.name).map_err(|error| bad_request(error.to_string()))?;
    let (lines, said) = mpsc::channel(1);
    tokio::spawn(pull_and_tell(look.containers, wanted, lines));
    let content = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((content, Body::from_stream(ReceiverStream::new(said))).into_response())
}

/// A line of an answer.
type Line = Result<String, std::convert::Infallible>;

async fn pull_and_tell(containers: Containers, wanted: Wanted, lines: mpsc::Sender<Line>) {
    let Wanted { name, force } = wanted;
    let line = |value: Value| Ok(format!("{value}\n"));
    let pull = containers.of_images({
        let name = name.clone();
        move |own| own.pull_image(&name, force)
    });
    let mut pull = std::pin::pin!(pull);
    let mut told = None;
    let pulled = loop {
        tokio::select! {
            pulled = &mut pull => break pulled,
            () = tokio::time::sleep(TICK) => {}
        }
        let pulling = containers.pulling(&name);
        if let Some(pulling) = &pulling
            && told.as_ref() != Some(pulling)
        {
            // Who reads slowly misses some; who has gone does not want to know.
            let _ = lines.try_send(line(json!({ "progress": progress(pulling) })));
        }
        told = pulling;
    };
    let last = match pulled {
        Ok(pulled) => json!({ "image": image(&pulled) }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    let _ = lines.send(line(last)).await;
}

fn image(image: &StoredImage) -> Value {
    let since = image.last_used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({
        "name": image.name,
        "digest": image.digest,
        "bytes": image.bytes,
        "last_used": since.as_secs_f64(),
        "used_by": image.used_by,
    })
}

fn progress(pulling: &Pulling) -> Value {
    json!({
        "image": pulling.image,
        "bytes": pulling.bytes,
        "total_bytes": pulling.total_bytes,
        "layers": pulling.layers,
        "total_layers": pulling.total_layers,
        "message": pulling.to_string(),
    })
}

/// Asks the image store for something.
pub(super) async fn of<T: Send + 'static>(
    look: &Look,
    work: impl FnOnce(&Containerizer) -> Result<T, muster_containerizer::Error> + Send + 'static,
) -> Result<T, Refusal> {
    look.containers.of_images(work).await.map_err(|error| refusal(&error))
}

/// What is wrong, and who can mend it.
fn refusal(error: &Error) -> Refusal {
    use muster_containerizer::Error as Cause;
    let status = match error {
        Error::Containerizer(Cause::Image(ImageError::Reference { .. })) => StatusCode::BAD_REQUEST,
        Error::Containerizer(Cause::Image(ImageError::Unknown { .. })) => StatusCode::NOT_FOUND,
        Error::Containerizer(Cause::Image(ImageError::InUse { .. })) => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error.to_string())
}
