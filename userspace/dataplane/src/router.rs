//! minuteman's HTTP API (port 61421 in DC/OS): `GET` only, always JSON, errors as 200 with
//! an `error` field, as the original answers them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use muster_api::muster::Protocol;
use serde::Serialize;
use serde_json::json;

use crate::{
    DataPlane, Error,
    api::{self, VipsState},
    exometer,
    looking::{Shared, look, survey},
};

/// `/vips`, `/vip/<ip>:<port>`, `/backend/<ip>:<port>` and `/metrics` of a data plane. IPv6
/// addresses are in brackets.
pub fn router(plane: Arc<Mutex<DataPlane>>) -> Router {
    Router::new()
        .route("/vips", get(vips))
        .route("/vip/{address}", get(vip))
        .route("/backend/{address}", get(backend))
        .route("/metrics", get(metrics))
        .with_state(plane)
}

/// What a handler answers.
enum Answer<T> {
    Found(T),
    /// minuteman's name of what is wrong with the request.
    Error(&'static str),
}

async fn vips(State(plane): State<Shared>) -> Response {
    let made = survey(plane, |all| Json(all.vips.into_iter().collect::<VipsState>()));
    made.await.into_response()
}

async fn metrics(State(plane): State<Shared>) -> Response {
    survey(plane, |all| Json(exometer::metrics(&all))).await.into_response()
}

async fn vip(State(plane): State<Shared>, Path(address): Path<String>) -> Response {
    read(plane, move |plane| {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Ok(Answer::Error("invalid_vip"));
        };
        let vips = [plane.vip(address, Protocol::Tcp)?, plane.vip(address, Protocol::Udp)?];
        let backends = api::state(vips.iter().flatten().flat_map(api::backends));
        Ok(if backends.is_empty() { Answer::Error("no_backends") } else { Answer::Found(backends) })
    })
    .await
}

async fn backend(State(plane): State<Shared>, Path(address): Path<String>) -> Response {
    read(plane, move |plane| {
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Ok(Answer::Error("invalid_backend"));
        };
        let vips = plane.vips()?;
        let found = vips.iter().flat_map(api::backends).filter(|(_, of)| of.address == address);
        let found = api::state(found).into_values().next();
        Ok(found.map_or(Answer::Error("invalid_backend"), Answer::Found))
    })
    .await
}

async fn read<T: Serialize + Send + 'static>(
    plane: Shared,
    with: impl FnOnce(&DataPlane) -> Result<Answer<T>, Error> + Send + 'static,
) -> Response {
    match look(plane, with).await {
        Ok(Answer::Found(value)) => Json(value).into_response(),
        Ok(Answer::Error(name)) => Json(json!({ "error": name })).into_response(),
        Err(response) => response,
    }
}
