//! How HTTP handlers look at a data plane.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tracing::error;

use crate::{DataPlane, Error, Snapshot};

pub(crate) type Shared = Arc<Mutex<DataPlane>>;

/// Reads the maps on a thread that may block: with thousands of VIPs that takes a while.
pub(crate) async fn look<T: Send + 'static>(
    plane: Shared,
    with: impl FnOnce(&DataPlane) -> Result<T, Error> + Send + 'static,
) -> Result<T, Response> {
    blocking(move || locked(&plane, with)).await
}

/// Reads all maps, and makes something of it without keeping others from the data plane.
pub(crate) async fn survey<T: Send + 'static>(
    plane: Shared,
    make: impl FnOnce(Snapshot) -> T + Send + 'static,
) -> Result<T, Response> {
    blocking(move || locked(&plane, DataPlane::snapshot).map(make)).await
}

fn locked<T>(plane: &Shared, with: impl FnOnce(&DataPlane) -> T) -> T {
    // A panic while the lock was held left the maps as a kill would: readable.
    with(&plane.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Response> {
    let problem = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(problem)) => problem.to_string(),
        Err(problem) => problem.to_string(),
    };
    error!(problem, "reading the data plane");
    Err((StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": problem }))).into_response())
}
