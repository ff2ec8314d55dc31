//! The HTTP side: requests in, answers out. What they mean is decided elsewhere.

mod params;
mod route;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::sync::{mpsc, oneshot};

use self::params::Params;
use crate::reply::{Body as ReplyBody, Reply};
use crate::request::Request;

/// A request on its way to the core, and where its answer is waited for.
pub(crate) type Asked = (Request, oneshot::Sender<Reply>);

#[derive(Clone)]
struct Api {
    core: mpsc::Sender<Asked>,
    leader: HeaderValue,
}

/// `/v2/…` and `/ping`. `leader` is the URL that answers name as the leader's.
pub(crate) fn router(core: mpsc::Sender<Asked>, leader: &str) -> Router {
    let leader = HeaderValue::from_str(leader).unwrap_or(HeaderValue::from_static(""));
    Router::new()
        .route("/v2/{*path}", any(answer))
        .route("/ping", get(|| async { "pong" }))
        .with_state(Api { core, leader })
}

async fn answer(
    State(api): State<Api>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let reply = match body {
        Ok(body) => api.ask(&method, &path, query.as_deref(), &headers, &body).await,
        Err(rejection) => Reply::error(rejection.status().as_u16(), rejection.body_text()),
    };
    let mut response = response(reply);
    let headers = response.headers_mut();
    headers.insert("X-Marathon-Leader", api.leader);
    let uncached = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.insert(header::CACHE_CONTROL, uncached);
    response
}

impl Api {
    async fn ask(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Reply {
        let wants_text = headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
        let request = Params::parse(query)
            .and_then(|params| route::route(method, path, &params, wants_text, body));
        let request = match request {
            Ok(request) => request,
            Err(reply) => return reply,
        };
        let (answer, answered) = oneshot::channel();
        if self.core.send((request, answer)).await.is_err() {
            return unavailable();
        }
        answered.await.unwrap_or_else(|_| unavailable())
    }
}

/// The core is gone, or has lost track of the request when the store failed.
fn unavailable() -> Reply {
    Reply::error(503, "The services scheduler is not running. See the master's log.")
}

fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let typed = |kind: &'static str, text: String| ([(header::CONTENT_TYPE, kind)], text);
    let mut response = match reply.body {
        ReplyBody::Empty => Body::empty().into_response(),
        ReplyBody::Json(value) => typed("application/json", value.to_string()).into_response(),
        ReplyBody::Text(text) => typed("text/plain; charset=utf-8", text).into_response(),
    };
    *response.status_mut() = status;
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
