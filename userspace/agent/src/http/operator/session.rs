//! `LAUNCH_NESTED_CONTAINER_SESSION` and `ATTACH_CONTAINER_OUTPUT`: what a container writes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response as Answer;
use muster_api::mesos::agent::process_io::{self, Control, Data, control};
use muster_api::mesos::agent::{Call, ProcessIo};
use muster_api::mesos::{DurationInfo, TaskInfo};
use muster_api::recordio;
use muster_containerizer::{Attachment, Containerizer, Error, Stream, nested_id};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::super::Look;
use super::super::call::{Refusal, bad_request};
use super::super::media::Media;
use super::launch::{nested, refusal, spec, unattachable};
use super::{broken, needed};
use crate::agent::{Operated, container_name};
use crate::sessions::Sessions;

/// How often who is attached hears that the agent is there, as in Mesos.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Records that may wait for the connection to take them.
const BACKLOG: usize = 16;
/// How long a container may take to end whose streams have.
const END: Duration = Duration::from_secs(10);
/// How long to wait before a session is tried to be removed again.
const AGAIN: Duration = Duration::from_secs(5);

type Frames = mpsc::Sender<Result<Bytes, String>>;

/// Launches a container that lives as long as the connection.
pub(super) async fn launch(look: &Look, call: &Call, media: Media) -> Result<Answer, Refusal> {
    let field = "launch_nested_container_session";
    let asked = needed(call.launch_nested_container_session.as_ref(), field)?;
    nested(field, &asked.container_id)?;
    let (command, container) = (asked.command.clone(), asked.container.clone());
    let info = TaskInfo { command, container, ..TaskInfo::default() };
    let spec = spec(look, field, &asked.container_id, &info, Operated::Session)?;
    let name = nested_id(spec.parent.as_deref().unwrap_or_default(), &spec.id);
    let (own, sessions) = (look.containers.own().clone(), look.sessions.clone());
    let (tell, told) = oneshot::channel();
    // By itself: whoever asked may be gone before it is launched, and it must not stay.
    tokio::spawn(async move {
        let attachment = match own.launch_attached(spec).await {
            Ok((_, attachment)) => attachment,
            Err(error) => {
                // Who is gone needs no answer.
                let _: Result<(), Result<Body, Error>> = tell.send(Err(error));
                return;
            }
        };
        let (frames, body) = mpsc::channel(BACKLOG);
        let _: Result<(), Result<Body, Error>> =
            tell.send(Ok(Body::from_stream(ReceiverStream::new(body))));
        relay(&own, &name, attachment, media, &frames).await;
        end(&own, &sessions, &name, frames).await;
    });
    match told.await {
        Ok(Ok(body)) => Ok(media.answer(body)),
        Ok(Err(Error::Exists { .. })) => Ok(media.answer(axum::http::StatusCode::ACCEPTED)),
        Ok(Err(error)) => Err(refusal(field, &error)),
        Err(error) => Err(broken(&error)),
    }
}

/// Sends what a container writes from now on.
pub(super) fn attach(look: &Look, call: &Call, media: Media) -> Result<Answer, Refusal> {
    let field = "attach_container_output";
    let asked = needed(call.attach_container_output.as_ref(), field)?;
    let name = container_name(&format!("{field}.container_id"), &asked.container_id)
        .map_err(|invalid| bad_request(invalid.to_string()))?;
    let own = look.containers.own().clone();
    let attachment = own.attach(&name).map_err(|error| unattachable(look, &name, &error))?;
    let (frames, body) = mpsc::channel(BACKLOG);
    tokio::spawn(async move { relay(&own, &name, attachment, media, &frames).await });
    Ok(media.answer(Body::from_stream(ReceiverStream::new(body))))
}

/// Passes on what comes, until the container has ended or nobody listens.
async fn relay(
    own: &Containerizer,
    name: &str,
    attachment: Attachment,
    media: Media,
    frames: &Frames,
) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        let message = tokio::select! {
            () = frames.closed() => return,
            output = attachment.output() => match output {
                Ok(Some(output)) => data(output.stream, output.data),
                Ok(None) => break,
                Err(error) => {
                    cut(frames, format!("the streams of container {name}: {error}")).await;
                    return;
                }
            },
            _ = heartbeat.tick() => beat(),
        };
        let frame = media.encoding.encode(&message).map(|record| recordio::frame(&record).into());
        if frames.send(frame.map_err(|error| error.to_string())).await.is_err() {
            return;
        }
    }
    // Who read too slowly is cut off too: that must not look like the end.
    let ended = tokio::select! {
        () = frames.closed() => return,
        ended = tokio::time::timeout(END, own.wait(name)) => ended,
    };
    if ended.is_err() {
        cut(frames, format!("container {name} writes more than is read")).await;
    }
}

/// Breaks the connection off.
async fn cut(frames: &Frames, problem: String) {
    tracing::debug!(problem, "breaking a connection off");
    // It may be broken already.
    let _: Result<(), mpsc::error::SendError<Result<Bytes, String>>> =
        frames.send(Err(problem)).await;
}

/// Leaves nothing of a session but the memory of its end, and hangs up then.
async fn end(own: &Containerizer, sessions: &Sessions, name: &str, frames: Frames) {
    let ended = async {
        // It may be gone already, with what it was in.
        if let Ok(how) = own.wait(name).await {
            sessions.ended(name.to_owned(), how);
        }
    };
    let removed = async {
        while let Err(error) = own.destroy(name).await {
            tracing::warn!(container = name, %error, "cannot remove a session; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    };
    // In this order: its end has to be watched for before it is made.
    tokio::join!(ended, removed);
    drop(frames);
}

fn data(stream: Stream, data: Vec<u8>) -> ProcessIo {
    let kind = match stream {
        Stream::Output => process_io::data::Type::Stdout,
        Stream::Errors => process_io::data::Type::Stderr,
    };
    ProcessIo {
        r#type: Some(process_io::Type::Data.into()),
        data: Some(Data { r#type: Some(kind.into()), data: Some(data) }),
        control: None,
    }
}

fn beat() -> ProcessIo {
    let nanoseconds = i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX);
    let heartbeat = control::Heartbeat { interval: Some(DurationInfo { nanoseconds }) };
    ProcessIo {
        r#type: Some(process_io::Type::Control.into()),
        data: None,
        control: Some(Control {
            r#type: Some(control::Type::Heartbeat.into()),
            tty_info: None,
            heartbeat: Some(heartbeat),
        }),
    }
}
