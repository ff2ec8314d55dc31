//! `/api/v1`: Mesos' v1 operator API of an agent.

mod files;
mod input;
mod launch;
mod life;
mod log;
mod prune;
mod session;
mod state;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as Answer};
use muster_api::json;
use muster_api::mesos::agent::call::Type;
use muster_api::mesos::agent::response::get_containers::Container;
use muster_api::mesos::agent::response::{
    GetAgent, GetContainers, GetFlags, GetHealth, GetMetrics, GetOperations, GetState, GetVersion,
    Type as Kind,
};
use muster_api::mesos::agent::{Call, Response};
use muster_api::mesos::{Flag, Metric, VersionInfo};
use muster_containerizer::Origin;
use serde_json::Value;

use super::call::{Refusal, bad_request};
use super::media::{Media, not_acceptable, unsupported};
use super::{Look, containers, metrics};
use crate::Agent;
use crate::agent::container_id;

/// The longest call, in bytes, that is not a stream.
const CALL_MAX: usize = 2 << 20;

/// Takes a call. What is asked in which order is as in Mesos.
pub(super) async fn call(State(look): State<Look>, headers: HeaderMap, body: Body) -> Answer {
    take(look, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn take(look: Look, headers: &HeaderMap, body: Body) -> Result<Answer, Refusal> {
    let content = Media::of_content(headers)?;
    let accept = Media::accepted(headers)?;
    if content.recordio {
        return input::attach(&look, content.encoding, body).await;
    }
    let body = to_bytes(body, CALL_MAX).await.map_err(|_| {
        let problem = format!("the call is longer than {CALL_MAX} bytes, or was not sent whole");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
    })?;
    let call: Call =
        content.encoding.decode(&body).map_err(|error| bad_request(error.to_string()))?;
    let Some(kind) = call.r#type.and_then(|kind| Type::try_from(kind).ok()) else {
        return Err(bad_request("type is not set, or not a type of call"));
    };
    match kind {
        Type::LaunchNestedContainerSession => return session::launch(&look, &call, accept).await,
        Type::AttachContainerOutput => return session::attach(&look, &call, accept),
        Type::AttachContainerInput => {
            return Err(unsupported("Content-Type is not application/recordio".to_owned()));
        }
        _ if accept.recordio => {
            let problem = format!("there is no stream of {}", kind.as_str_name());
            return Err(not_acceptable(problem));
        }
        _ => {}
    }
    match answer(look, kind, &call).await? {
        Done::Status(status) => Ok(status.into_response()),
        Done::Told(response) => respond(accept, &response),
    }
}

/// How a call went.
enum Done {
    /// There is nothing to tell.
    Status(StatusCode),
    /// With this answer.
    Told(Box<Response>),
}

#[expect(deprecated, reason = "operators' tools say it")]
async fn answer(look: Look, kind: Type, call: &Call) -> Result<Done, Refusal> {
    let response = match kind {
        Type::GetHealth => {
            let healthy = look.agent(|agent| agent.store_failure().is_none());
            Response { get_health: Some(GetHealth { healthy }), ..of(Kind::GetHealth) }
        }
        Type::GetFlags => Response { get_flags: Some(flags(&look)), ..of(Kind::GetFlags) },
        Type::GetVersion => {
            let version = look.agent(|agent| agent.settings().version.clone());
            let version_info = VersionInfo { version, ..VersionInfo::default() };
            Response { get_version: Some(GetVersion { version_info }), ..of(Kind::GetVersion) }
        }
        Type::GetMetrics => {
            needed(call.get_metrics.as_ref(), "get_metrics")?;
            Response { get_metrics: Some(numbers(&look)), ..of(Kind::GetMetrics) }
        }
        Type::GetState => {
            let get_state = look.agent(|agent| GetState {
                get_tasks: Some(state::tasks(agent)),
                get_executors: Some(state::executors(agent)),
                get_frameworks: Some(state::frameworks(agent)),
            });
            Response { get_state: Some(get_state), ..of(Kind::GetState) }
        }
        Type::GetContainers => {
            let asked = call.get_containers.unwrap_or_default();
            let (nested, standalone) = (asked.show_nested(), asked.show_standalone());
            let get_containers = Some(shown(look, nested, standalone).await?);
            Response { get_containers, ..of(Kind::GetContainers) }
        }
        Type::GetFrameworks => {
            let get_frameworks = Some(look.agent(state::frameworks));
            Response { get_frameworks, ..of(Kind::GetFrameworks) }
        }
        Type::GetExecutors => {
            let get_executors = Some(look.agent(state::executors));
            Response { get_executors, ..of(Kind::GetExecutors) }
        }
        // All that is done to resources is to launch tasks.
        Type::GetOperations => {
            Response { get_operations: Some(GetOperations::default()), ..of(Kind::GetOperations) }
        }
        Type::GetTasks => {
            Response { get_tasks: Some(look.agent(state::tasks)), ..of(Kind::GetTasks) }
        }
        Type::GetAgent => {
            let agent_info = look.agent(|agent| agent.settings().info(agent.id()));
            let get_agent = Some(GetAgent { agent_info: Some(agent_info) });
            Response { get_agent, ..of(Kind::GetAgent) }
        }
        Type::PruneImages => return prune::prune(&look, call).await.map(Done::Status),
        Type::ListFiles => files::list(look, call).await?,
        Type::ReadFile => files::read(look, call).await?,
        Type::GetLoggingLevel => log::get(&look)?,
        Type::SetLoggingLevel => return log::set(&look, call).map(Done::Status),
        Type::LaunchContainer | Type::LaunchNestedContainer => {
            return launch::launch(&look, kind, call).await.map(Done::Status);
        }
        Type::WaitContainer | Type::WaitNestedContainer => life::wait(&look, kind, call).await?,
        Type::KillContainer | Type::KillNestedContainer => {
            return life::kill(&look, kind, call).map(Done::Status);
        }
        Type::RemoveContainer | Type::RemoveNestedContainer => {
            return life::remove(&look, kind, call).await.map(Done::Status);
        }
        Type::Unknown
        | Type::GetResourceProviders
        | Type::AddResourceProviderConfig
        | Type::UpdateResourceProviderConfig
        | Type::RemoveResourceProviderConfig
        | Type::MarkResourceProviderGone
        | Type::LaunchNestedContainerSession
        | Type::AttachContainerInput
        | Type::AttachContainerOutput => {
            let problem = format!("this version cannot do {}", kind.as_str_name());
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, problem));
        }
    };
    Ok(Done::Told(Box::new(response)))
}

/// A part of a call that has to be there.
fn needed<'a, T>(part: Option<&'a T>, name: &str) -> Result<&'a T, Refusal> {
    part.ok_or_else(|| bad_request(format!("{name} is not set, which this type of call needs")))
}

fn of(kind: Kind) -> Response {
    Response { r#type: Some(kind.into()), ..Response::default() }
}

fn respond(media: Media, response: &Response) -> Result<Answer, Refusal> {
    let body = media.encoding.encode(response).map_err(|error| broken(&error))?;
    Ok(media.answer(body))
}

fn broken(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn flags(look: &Look) -> GetFlags {
    let flags = look.flags.as_object().into_iter().flatten();
    let flag = |(name, value): (&String, &Value)| Flag {
        name: name.clone(),
        value: value.as_str().map(str::to_owned),
    };
    GetFlags { flags: flags.map(flag).collect() }
}

fn numbers(look: &Look) -> GetMetrics {
    let metrics = metrics::numbers(look);
    let metric =
        |(name, value): (&String, &Value)| Metric { name: name.clone(), value: value.as_f64() };
    GetMetrics { metrics: metrics.as_object().into_iter().flatten().map(metric).collect() }
}

/// The containers that run, with what they use: those of the agent, and of operators those that
/// are asked for.
async fn shown(look: Look, nested: bool, standalone: bool) -> Result<GetContainers, Refusal> {
    let measured = containers::measured(look.clone(), None, true).await;
    let containers = measured.iter().map(container).collect::<Result<Vec<_>, _>>();
    let mut containers = containers.map_err(|error| broken(&error))?;
    containers.retain(|container| nested || container.container_id.parent.is_none());
    let operated = look.containers.own().containers().into_iter();
    let operated = operated
        .filter(|(_, origin)| matches!(origin, Origin::Operator | Origin::Session))
        .map(|(name, _)| name);
    let wanted = operated.filter(|name| if name.contains('/') { nested } else { standalone });
    for name in wanted {
        // It may have none of its own, or have just ended.
        let usage = look.containers.usage(&name).await.ok();
        let usage = usage.map(|usage| containers::statistics_of(&usage, look.clock.now()));
        let usage = usage.map(|usage| json::from_value(&usage)).transpose();
        containers.push(Container {
            container_id: container_id(&name),
            resource_statistics: usage.map_err(|error| broken(&error))?,
            ..Container::default()
        });
    }
    Ok(GetContainers { containers })
}

/// A container as a message, from what the unversioned interface shows.
fn container(shown: &Value) -> Result<Container, muster_api::Error> {
    let text = |name: &str| shown[name].as_str().unwrap_or_default();
    Ok(Container {
        framework_id: Some(text("framework_id").into()),
        executor_id: Some(text("executor_id").into()),
        executor_name: Some(text("executor_name").to_owned()),
        container_id: container_id(text("container_id")),
        container_status: match &shown["status"] {
            Value::Null => None,
            status => Some(json::from_value(status)?),
        },
        resource_statistics: Some(json::from_value(&shown["statistics"])?),
    })
}
