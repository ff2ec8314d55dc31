//! `GET_LOGGING_LEVEL` and `SET_LOGGING_LEVEL`.

use std::time::Duration;

use axum::http::StatusCode;
use muster_api::mesos::agent::response::{GetLoggingLevel, Type as Kind};
use muster_api::mesos::agent::{Call, Response};

use super::super::Look;
use super::super::call::{Refusal, bad_request};
use super::{needed, of};
use crate::LogLevel;

/// The level now.
pub(super) fn get(look: &Look) -> Result<Response, Refusal> {
    let level = log_level(look)?.level();
    let get_logging_level = Some(GetLoggingLevel { level });
    Ok(Response { get_logging_level, ..of(Kind::GetLoggingLevel) })
}

/// Sets the level for a while.
pub(super) fn set(look: &Look, call: &Call) -> Result<StatusCode, Refusal> {
    let asked = needed(call.set_logging_level.as_ref(), "set_logging_level")?;
    if asked.level > LogLevel::MAX {
        let problem = format!("set_logging_level.level is more than {}", LogLevel::MAX);
        return Err(bad_request(problem));
    }
    let nanoseconds = u64::try_from(asked.duration.nanoseconds)
        .map_err(|_| bad_request("set_logging_level.duration is negative"))?;
    let log = log_level(look)?;
    log.raise(asked.level, Duration::from_nanos(nanoseconds))
        .map_err(|problem| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, problem))?;
    tracing::info!(level = asked.level, nanoseconds, "level of the log");
    Ok(StatusCode::OK)
}

fn log_level(look: &Look) -> Result<&LogLevel, Refusal> {
    look.log_level.as_ref().ok_or_else(|| {
        let problem = "the log of this agent cannot be changed while it runs";
        Refusal::new(StatusCode::NOT_IMPLEMENTED, problem)
    })
}
