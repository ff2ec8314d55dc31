//! `/api/v1`: the v1 operator API.

mod agents;
mod frameworks;
mod tasks;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response as Answer};
use muster_api::Encoding;
use muster_api::mesos::master::call::Type;
use muster_api::mesos::master::response::{
    GetExecutors, GetFlags, GetHealth, GetMaintenanceSchedule, GetMaintenanceStatus, GetMaster,
    GetMetrics, GetOperations, GetQuota, GetRoles, GetState, GetVersion, GetWeights, Type as Kind,
    get_executors,
};
use muster_api::mesos::master::{Call, Response};
use muster_api::mesos::{Flag, Metric, VersionInfo};

use super::answer::{bad_request, change, failed};
use super::{metrics, quota, roles, weights};
use crate::core::{Change, Master};
use crate::kernel::Kernel;

/// Takes a call. What is asked in which order is as in Mesos: what the body is, whether it can
/// be read, whether it makes sense, and how to answer.
pub(super) async fn call(State(kernel): State<Kernel>, headers: HeaderMap, body: Bytes) -> Answer {
    let Some(content) = header_text(&headers, &header::CONTENT_TYPE) else {
        return bad_request("the header Content-Type is missing");
    };
    let Some(encoding) = Encoding::of_content(content) else {
        let problem =
            format!("Content-Type {content:?} is not application/json or application/x-protobuf");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, problem).into_response();
    };
    let call: Call = match encoding.decode(&body) {
        Ok(call) => call,
        Err(error) => return bad_request(error.to_string()),
    };
    let Some(kind) = call.r#type.and_then(|kind| Type::try_from(kind).ok()) else {
        return bad_request("type is not set, or not a type of call");
    };
    let Some(accepted) = Encoding::accepted(header_text(&headers, &header::ACCEPT)) else {
        let problem = "Accept allows neither application/json nor application/x-protobuf";
        return (StatusCode::NOT_ACCEPTABLE, problem).into_response();
    };
    answer(&kernel, kind, call, accepted).await
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is not text is not one of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[expect(deprecated, reason = "operators' tools say it")]
async fn answer(kernel: &Kernel, kind: Type, call: Call, encoding: Encoding) -> Answer {
    match kind {
        Type::GetHealth => {
            let healthy = kernel.stalled().is_none();
            let health = Some(GetHealth { healthy });
            respond(encoding, &Response { get_health: health, ..of(Kind::GetHealth) })
        }
        Type::GetMetrics if call.get_metrics.is_none() => missing("get_metrics"),
        Type::GetFlags
        | Type::GetVersion
        | Type::GetMetrics
        | Type::GetState
        | Type::GetAgents
        | Type::GetFrameworks
        | Type::GetExecutors
        | Type::GetOperations
        | Type::GetTasks
        | Type::GetRoles
        | Type::GetWeights
        | Type::GetMaster
        | Type::GetMaintenanceStatus
        | Type::GetMaintenanceSchedule
        | Type::GetQuota => match kernel.ask(move |master| read(master, kind)).await {
            Ok(response) => respond(encoding, &response),
            Err(error) => failed(&error),
        },
        Type::UpdateWeights => {
            let update = call.update_weights.map(|update| Change::Weights(update.weight_infos));
            make(kernel, update, "update_weights").await
        }
        Type::UpdateQuota => {
            make(kernel, call.update_quota.map(Change::Quota), "update_quota").await
        }
        Type::SetQuota => {
            let set = call.set_quota.map(|set| Change::NewQuota(set.quota_request));
            make(kernel, set, "set_quota").await
        }
        Type::RemoveQuota => {
            let remove = call.remove_quota.map(|remove| Change::NoQuota(remove.role));
            make(kernel, remove, "remove_quota").await
        }
        Type::Teardown => {
            let teardown = call.teardown.map(|teardown| Change::Teardown(teardown.framework_id));
            make(kernel, teardown, "teardown").await
        }
        Type::UpdateMaintenanceSchedule => {
            let update = call.update_maintenance_schedule;
            let update = update.map(|update| Change::Schedule(update.schedule));
            make(kernel, update, "update_maintenance_schedule").await
        }
        Type::StartMaintenance => {
            let start = call.start_maintenance.map(|start| Change::Down(start.machines));
            make(kernel, start, "start_maintenance").await
        }
        Type::StopMaintenance => {
            let stop = call.stop_maintenance.map(|stop| Change::Up(stop.machines));
            make(kernel, stop, "stop_maintenance").await
        }
        Type::Unknown
        | Type::GetLoggingLevel
        | Type::SetLoggingLevel
        | Type::ListFiles
        | Type::ReadFile
        | Type::Subscribe
        | Type::ReserveResources
        | Type::UnreserveResources
        | Type::CreateVolumes
        | Type::DestroyVolumes
        | Type::GrowVolume
        | Type::ShrinkVolume
        | Type::DrainAgent
        | Type::DeactivateAgent
        | Type::ReactivateAgent
        | Type::MarkAgentGone => {
            let problem = format!("this version cannot do {}", kind.as_str_name());
            (StatusCode::NOT_IMPLEMENTED, problem).into_response()
        }
    }
}

/// Makes the change that a call asks for in the field.
async fn make(kernel: &Kernel, wanted: Option<Change>, field: &str) -> Answer {
    match wanted {
        Some(wanted) => change(kernel, wanted).await,
        None => missing(field),
    }
}

fn missing(field: &str) -> Answer {
    bad_request(format!("{field} is not set, which this type of call needs"))
}

fn respond(encoding: Encoding, response: &Response) -> Answer {
    match encoding.encode(response) {
        Ok(body) => ([(header::CONTENT_TYPE, encoding.media_type())], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn of(kind: Kind) -> Response {
    Response { r#type: Some(kind.into()), ..Response::default() }
}

/// What is asked of the state.
fn read(master: &Master, kind: Type) -> Response {
    match kind {
        Type::GetFlags => Response { get_flags: Some(flags(master)), ..of(Kind::GetFlags) },
        Type::GetMetrics => Response { get_metrics: Some(numbers(master)), ..of(Kind::GetMetrics) },
        Type::GetState => Response {
            get_state: Some(GetState {
                get_tasks: Some(tasks::tasks(master)),
                get_executors: Some(executors(master)),
                get_frameworks: Some(frameworks::frameworks(master)),
                get_agents: Some(agents::agents(master)),
            }),
            ..of(Kind::GetState)
        },
        Type::GetAgents => {
            Response { get_agents: Some(agents::agents(master)), ..of(Kind::GetAgents) }
        }
        Type::GetFrameworks => Response {
            get_frameworks: Some(frameworks::frameworks(master)),
            ..of(Kind::GetFrameworks)
        },
        Type::GetExecutors => {
            Response { get_executors: Some(executors(master)), ..of(Kind::GetExecutors) }
        }
        // All that is done to resources is to launch tasks.
        Type::GetOperations => {
            Response { get_operations: Some(GetOperations::default()), ..of(Kind::GetOperations) }
        }
        Type::GetTasks => Response { get_tasks: Some(tasks::tasks(master)), ..of(Kind::GetTasks) },
        Type::GetRoles => {
            let roles = roles::messages(master);
            Response { get_roles: Some(GetRoles { roles }), ..of(Kind::GetRoles) }
        }
        Type::GetWeights => {
            let weight_infos = weights::infos(master);
            Response { get_weights: Some(GetWeights { weight_infos }), ..of(Kind::GetWeights) }
        }
        Type::GetMaster => {
            let started = Some(master.started().as_secs_f64());
            let master = GetMaster {
                master_info: Some(master.info().clone()),
                start_time: started,
                elected_time: started,
            };
            Response { get_master: Some(master), ..of(Kind::GetMaster) }
        }
        Type::GetMaintenanceStatus => {
            let status = master.maintenance_status();
            let get_maintenance_status = Some(GetMaintenanceStatus { status });
            Response { get_maintenance_status, ..of(Kind::GetMaintenanceStatus) }
        }
        Type::GetMaintenanceSchedule => {
            let schedule = master.maintenance_schedule().clone();
            let get_maintenance_schedule = Some(GetMaintenanceSchedule { schedule });
            Response { get_maintenance_schedule, ..of(Kind::GetMaintenanceSchedule) }
        }
        Type::GetQuota => {
            let status = quota::status(master);
            Response { get_quota: Some(GetQuota { status }), ..of(Kind::GetQuota) }
        }
        _ => {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let version_info = VersionInfo { version, ..VersionInfo::default() };
            Response { get_version: Some(GetVersion { version_info }), ..of(Kind::GetVersion) }
        }
    }
}

fn executors(master: &Master) -> GetExecutors {
    let executors = master.executors().iter().map(|(key, executor)| get_executors::Executor {
        executor_info: executor.info.clone(),
        agent_id: key.1.as_str().into(),
    });
    GetExecutors { executors: executors.collect(), ..GetExecutors::default() }
}

fn flags(master: &Master) -> GetFlags {
    let flags = master.options().flags.iter();
    let flag =
        |(name, value): (&String, &String)| Flag { name: name.clone(), value: Some(value.clone()) };
    GetFlags { flags: flags.map(flag).collect() }
}

fn numbers(master: &Master) -> GetMetrics {
    let metrics = metrics::snapshot(master);
    let metric = |(name, value): (&String, &serde_json::Value)| Metric {
        name: name.clone(),
        value: value.as_f64(),
    };
    GetMetrics { metrics: metrics.as_object().into_iter().flatten().map(metric).collect() }
}
