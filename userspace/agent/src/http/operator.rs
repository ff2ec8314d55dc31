//! `/api/v1`: Mesos' v1 operator API of an agent.

mod state;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as Answer};
use muster_api::mesos::agent::call::Type;
use muster_api::mesos::agent::response::get_containers::Container;
use muster_api::mesos::agent::response::{
    GetAgent, GetContainers, GetFlags, GetHealth, GetMetrics, GetOperations, GetState, GetVersion,
    Type as Kind,
};
use muster_api::mesos::agent::{Call, Response};
use muster_api::mesos::{Flag, Metric, VersionInfo};
use muster_api::{Encoding, json};
use serde_json::Value;

use super::call::{Refusal, accepted, bad_request, read};
use super::{Look, containers, metrics};
use crate::Agent;
use crate::agent::container_id;

/// Takes a call. What is asked in which order is as in Mesos.
pub(super) async fn call(State(look): State<Look>, headers: HeaderMap, body: Bytes) -> Answer {
    let call: Call = match read(&headers, &body) {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(kind) = call.r#type.and_then(|kind| Type::try_from(kind).ok()) else {
        return bad_request("type is not set, or not a type of call").into_response();
    };
    let encoding = match accepted(&headers) {
        Ok(encoding) => encoding,
        Err(refusal) => return refusal.into_response(),
    };
    match answer(look, kind, &call).await {
        Ok(response) => respond(encoding, &response),
        Err(refusal) => refusal.into_response(),
    }
}

#[expect(deprecated, reason = "operators' tools say it")]
async fn answer(look: Look, kind: Type, call: &Call) -> Result<Response, Refusal> {
    Ok(match kind {
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
        Type::GetMetrics if call.get_metrics.is_none() => {
            let problem = "get_metrics is not set, which this type of call needs";
            return Err(bad_request(problem));
        }
        Type::GetMetrics => Response { get_metrics: Some(numbers(&look)), ..of(Kind::GetMetrics) },
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
            let get_containers = Some(shown(look, asked.show_nested()).await?);
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
        Type::Unknown
        | Type::GetLoggingLevel
        | Type::SetLoggingLevel
        | Type::ListFiles
        | Type::ReadFile
        | Type::GetResourceProviders
        | Type::LaunchNestedContainer
        | Type::WaitNestedContainer
        | Type::KillNestedContainer
        | Type::RemoveNestedContainer
        | Type::LaunchNestedContainerSession
        | Type::AttachContainerInput
        | Type::AttachContainerOutput
        | Type::LaunchContainer
        | Type::WaitContainer
        | Type::KillContainer
        | Type::RemoveContainer
        | Type::AddResourceProviderConfig
        | Type::UpdateResourceProviderConfig
        | Type::RemoveResourceProviderConfig
        | Type::MarkResourceProviderGone
        | Type::PruneImages => {
            let problem = format!("this version cannot do {}", kind.as_str_name());
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, problem));
        }
    })
}

fn of(kind: Kind) -> Response {
    Response { r#type: Some(kind.into()), ..Response::default() }
}

fn respond(encoding: Encoding, response: &Response) -> Answer {
    match encoding.encode(response) {
        Ok(body) => ([(header::CONTENT_TYPE, encoding.media_type())], body).into_response(),
        Err(error) => broken(&error).into_response(),
    }
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

/// The containers that run, with what they use.
async fn shown(look: Look, nested: bool) -> Result<GetContainers, Refusal> {
    let measured = containers::measured(look, None, true).await;
    let containers = measured.iter().map(container).collect::<Result<Vec<_>, _>>();
    let mut containers = containers.map_err(|error| broken(&error))?;
    containers.retain(|container| nested || container.container_id.parent.is_none());
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
