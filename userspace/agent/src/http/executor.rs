//! `/api/v1/executor`: Mesos' v1 executor API.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::mesos::executor::call::{Subscribe, Type};
use muster_api::mesos::executor::{Call, Event, event};
use muster_api::mesos::task_status::Source;
use muster_api::mesos::{TaskState, TaskStatus};
use muster_api::{Encoding, recordio};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::Look;
use super::call::{self, Refusal, bad_request};
use crate::{ExecutorEvent, ExecutorKey, Input};

/// How often a subscribed executor hears that the agent is there, as in Mesos.
const HEARTBEAT: Duration = Duration::from_mins(30);

/// Takes a call. What is asked in which order is as in Mesos.
pub(super) async fn call(State(look): State<Look>, headers: HeaderMap, body: Bytes) -> Response {
    let call: Call = match call::read(&headers, &body) {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let kind = call.r#type();
    let event = match event(call.clone()) {
        Ok(event) => event,
        Err(problem) => return bad_request(problem).into_response(),
    };
    let key = ExecutorKey { framework: call.framework_id.value, executor: call.executor_id.value };
    if let Err(refusal) = known(&look, &key, kind) {
        return refusal.into_response();
    }
    let accepted = match event {
        Wanted::Nothing => return StatusCode::ACCEPTED.into_response(),
        Wanted::Subscription(subscribe) => {
            return match call::accepted(&headers) {
                Ok(encoding) => self::subscribe(look, key, subscribe, encoding).await,
                Err(refusal) => refusal.into_response(),
            };
        }
        Wanted::Event(event) => look.inputs.send(Input::Executor { key, event }).await,
    };
    match accepted {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => stopping(),
    }
}

/// What a call comes to.
enum Wanted {
    Nothing,
    Subscription(Subscribe),
    Event(ExecutorEvent),
}

fn event(call: Call) -> Result<Wanted, String> {
    let missing = |field: &str| format!("{field} is not set, which this type of call needs");
    match call.r#type() {
        Type::Unknown => Err("type is not set, or not a type of call".to_owned()),
        Type::Heartbeat => Ok(Wanted::Nothing),
        Type::Subscribe => {
            let subscribe = call.subscribe.ok_or_else(|| missing("subscribe"))?;
            for (at, update) in subscribe.unacknowledged_updates.iter().enumerate() {
                let field = format!("subscribe.unacknowledged_updates[{at}]");
                check(&format!("{field}.status"), &update.status)?;
            }
            Ok(Wanted::Subscription(subscribe))
        }
        Type::Update => {
            let update = call.update.ok_or_else(|| missing("update"))?;
            check("update.status", &update.status)?;
            Ok(Wanted::Event(ExecutorEvent::Update(Box::new(update.status))))
        }
        Type::Message => {
            let message = call.message.ok_or_else(|| missing("message"))?;
            Ok(Wanted::Event(ExecutorEvent::Message(message.data)))
        }
    }
}

/// Whether an executor may say so.
fn check(field: &str, status: &TaskStatus) -> Result<(), String> {
    if status.uuid.as_ref().is_none_or(|uuid| uuid.len() != 16) {
        return Err(format!("{field}.uuid is not a uuid of 16 bytes"));
    }
    if status.source.is_some() && status.source() != Source::Executor {
        return Err(format!("{field}.source is not SOURCE_EXECUTOR"));
    }
    if status.state() == TaskState::TaskStaging {
        return Err(format!("{field}.state is TASK_STAGING, which is not an executor's to say"));
    }
    Ok(())
}

/// Refuses whom the agent does not know, or does not hear from now.
fn known(look: &Look, key: &ExecutorKey, kind: Type) -> Result<(), Refusal> {
    look.agent(|agent| {
        if !agent.recovered() {
            let problem = "the agent has not recovered yet";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem));
        }
        let mut executors = agent.executors().filter(|executor| !executor.is_default());
        if !executors.any(|executor| executor.key().framework == key.framework) {
            return Err(bad_request("Framework cannot be found"));
        }
        let executor = agent.executor(key).filter(|executor| !executor.is_default());
        let Some(executor) = executor else {
            return Err(bad_request("Executor cannot be found"));
        };
        if kind != Type::Subscribe && !executor.subscribed() {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Executor is not subscribed"));
        }
        Ok(())
    })
}

async fn subscribe(
    look: Look,
    key: ExecutorKey,
    subscribe: Subscribe,
    encoding: Encoding,
) -> Response {
    let (subscription, events) = look.subscriptions.open();
    let tasks = subscribe.unacknowledged_tasks.into_iter().map(|task| task.task_id.value);
    let updates = subscribe.unacknowledged_updates.into_iter().map(|update| update.status);
    let event = ExecutorEvent::Subscribe {
        subscription,
        tasks: tasks.collect(),
        updates: updates.collect(),
    };
    if look.inputs.send(Input::Executor { key: key.clone(), event }).await.is_err() {
        look.subscriptions.close(subscription);
        return stopping();
    }
    // The connection's end drops the body, and with it what is held here.
    let (held, gone) = oneshot::channel::<()>();
    tokio::spawn(accompany(look, key, subscription, gone));
    let frames = ReceiverStream::new(events).map(move |event: Event| {
        let _held = &held;
        encoding.encode(&event).map(|record| Bytes::from(recordio::frame(&record)))
    });
    let content = [(header::CONTENT_TYPE, encoding.media_type())];
    (content, Body::from_stream(frames)).into_response()
}

/// Keeps a stream alive, and tells the agent of its end.
async fn accompany(
    look: Look,
    key: ExecutorKey,
    subscription: u64,
    mut gone: oneshot::Receiver<()>,
) {
    let beat = Event { r#type: Some(event::Type::Heartbeat.into()), ..Event::default() };
    while tokio::time::timeout(HEARTBEAT, &mut gone).await.is_err() {
        look.subscriptions.tell(subscription, beat.clone());
    }
    look.subscriptions.close(subscription);
    let event = ExecutorEvent::Gone { subscription };
    // Nobody is left to be told when the agent stops.
    let _: Result<(), mpsc::error::SendError<Input>> =
        look.inputs.send(Input::Executor { key, event }).await;
}

fn stopping() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping").into_response()
}
