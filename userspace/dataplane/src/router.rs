//! minuteman's HTTP API (port 61421 in DC/OS): `GET` only, always JSON, errors as 200 with
//! an `error` field, as the original answers them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use muster_api::muster::Protocol;
use serde::Serialize;
use serde_json::json;
use tracing::error;

use crate::{
    DataPlane, Error, VipStatus,
    api::{self, VipState, VipsState},
};

type Shared = Arc<Mutex<DataPlane>>;

/// `/vips`, `/vip/<ip>:<port>` and `/backend/<ip>:<port>` of a data plane. IPv6 addresses are in
/// brackets.
pub fn router(plane: Arc<Mutex<DataPlane>>) -> Router {
    Router::new()
        .route("/vips", get(vips))
        .route("/vip/{address}", get(vip))
        .route("/backend/{address}", get(backend))
        .with_state(plane)
}

/// What a handler answers.
enum Answer<T> {
    Found(T),
    /// minuteman's name of what is wrong with the request.
    Error(&'static str),
}

async fn vips(State(plane): State<Shared>) -> Response {
    read(plane, |plane| Ok(Answer::Found(plane.vips()?.into_iter().collect::<VipsState>()))).await
}

async fn vip(State(plane): State<Shared>, Path(address): Path<String>) -> Response {
    read(plane, move |plane| {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Ok(Answer::Error("invalid_vip"));
        };
        let mut backends = VipState::new();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for (address, backend) in plane.vip(address, protocol)?.iter().flat_map(api::backends) {
                backends.entry(address).or_insert(backend);
            }
        }
        Ok(if backends.is_empty() { Answer::Error("no_backends") } else { Answer::Found(backends) })
    })
    .await
}

async fn backend(State(plane): State<Shared>, Path(address): Path<String>) -> Response {
    read(plane, move |plane| {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Ok(Answer::Error("invalid_backend"));
        };
        let is_it = |vip: &VipStatus| vip.backends.iter().find(|b| b.address == address).cloned();
        let found = plane.vips()?.iter().find_map(is_it);
        Ok(match found {
            Some(backend) => Answer::Found(api::BackendState::from(&backend)),
            None => Answer::Error("invalid_backend"),
        })
    })
    .await
}

/// Reads the maps on a thread that may block: with thousands of VIPs that takes a while.
async fn read<T: Serialize + Send + 'static>(
    plane: Shared,
    with: impl FnOnce(&DataPlane) -> Result<Answer<T>, Error> + Send + 'static,
) -> Response {
    let answer = tokio::task::spawn_blocking(move || {
        // A panic while the lock was held left the maps as a kill would: readable.
        let plane: MutexGuard<'_, DataPlane> = plane.lock().unwrap_or_else(PoisonError::into_inner);
        with(&plane)
    });
    let problem = match answer.await {
        Ok(Ok(Answer::Found(value))) => return Json(value).into_response(),
        Ok(Ok(Answer::Error(name))) => return Json(json!({ "error": name })).into_response(),
        Ok(Err(problem)) => problem.to_string(),
        Err(problem) => problem.to_string(),
    };
    error!(problem, "reading the data plane");
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": problem }))).into_response()
}
