//! Answers of the unversioned interface.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::core::{Change, Master, Refusal};
use crate::kernel::Kernel;

/// `?jsonp=NAME`: the answer is a call of a JavaScript function.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Jsonp {
    pub(super) jsonp: Option<String>,
}

/// Answers a question about the state.
pub(super) async fn read(
    State(kernel): State<Kernel>,
    jsonp: Result<Query<Jsonp>, QueryRejection>,
    question: impl FnOnce(&Master) -> Value + Send + 'static,
) -> Response {
    let Query(Jsonp { jsonp }) = match jsonp {
        Ok(jsonp) => jsonp,
        Err(error) => return bad_request(error.body_text()),
    };
    let value = match kernel.ask(question).await {
        Ok(value) => value,
        Err(error) => return failed(&error),
    };
    match jsonp {
        None => Json(value).into_response(),
        Some(name) if is_function(&name) => {
            ([(header::CONTENT_TYPE, "text/javascript")], format!("{name}({value});"))
                .into_response()
        }
        Some(name) => bad_request(format!("jsonp: {name:?} is no name of a function")),
    }
}

/// Makes a change, and answers once it is written: 200 without a body, as Mesos does.
pub(super) async fn change(kernel: &Kernel, change: Change) -> Response {
    match kernel.change(change).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(Refusal::Invalid(problem))) => bad_request(problem),
        Ok(Err(Refusal::Conflict(problem))) => (StatusCode::CONFLICT, problem).into_response(),
        Err(error) => failed(&error),
    }
}

pub(super) fn bad_request(problem: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, problem.into()).into_response()
}

pub(super) fn failed(error: &Error) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
}

/// Names with dots between them: anything else could be a program.
fn is_function(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._$".contains(c))
}
