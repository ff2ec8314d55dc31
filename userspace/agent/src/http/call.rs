//! What all calls of the v1 APIs have in common.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::Encoding;
use prost::{Message, Name};

/// Why a call is not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, problem: impl Into<String>) -> Self {
        Self { status, problem: problem.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, self.problem).into_response()
    }
}

/// Reads a call: what the body is, and whether it can be read.
pub(super) fn read<M: Message + Name + Default>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<M, Refusal> {
    let Some(content) = text(headers, &header::CONTENT_TYPE) else {
        return Err(bad_request("the header Content-Type is missing"));
    };
    let Some(encoding) = Encoding::of_content(content) else {
        let problem =
            format!("Content-Type {content:?} is not application/json or application/x-protobuf");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    };
    encoding.decode(body).map_err(|error| bad_request(error.to_string()))
}

/// How to answer.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    Encoding::accepted(text(headers, &header::ACCEPT)).ok_or_else(|| {
        let problem = "Accept allows neither application/json nor application/x-protobuf";
        Refusal::new(StatusCode::NOT_ACCEPTABLE, problem)
    })
}

pub(super) fn bad_request(problem: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, problem)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is not text is not one of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
