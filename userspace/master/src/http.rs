//! The master's unversioned HTTP interface, as Mesos serves it: read-only JSON.
//!
//! Every path also answers below `/master`, as in Mesos.

mod json;
mod metrics;
mod state;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::Master;
use crate::kernel::Kernel;

/// The master's routes.
pub fn router(kernel: Kernel) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/version", get(version))
        .route("/state", get(|kernel| answer(kernel, state::state)))
        .route("/slaves", get(|kernel| answer(kernel, state::slaves)))
        .route("/frameworks", get(|kernel| answer(kernel, state::frameworks)))
        .route("/roles", get(|kernel| answer(kernel, state::roles)))
        .route("/tasks", get(tasks))
        .route("/metrics/snapshot", get(|kernel| answer(kernel, metrics::snapshot)))
        .with_state(kernel);
    Router::new().merge(routes.clone()).nest("/master", routes)
}

async fn answer(State(kernel): State<Kernel>, question: fn(&Master) -> Value) -> Response {
    ask(&kernel, question).await
}

async fn ask(
    kernel: &Kernel,
    question: impl FnOnce(&Master) -> Value + Send + 'static,
) -> Response {
    match kernel.ask(question).await {
        Ok(value) => Json(value).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// 200 while the registry can be written, else 503 with the reason.
async fn health(State(kernel): State<Kernel>) -> Response {
    match kernel.stalled() {
        None => StatusCode::OK.into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    offset: Option<usize>,
    order: Option<Order>,
    framework_id: Option<String>,
    task_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Des,
}

async fn tasks(
    State(kernel): State<Kernel>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Query(page) = match page {
        Ok(page) => page,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    ask(&kernel, move |master| {
        let mut tasks: Vec<Value> = state::tasks(master)
            .filter(|(framework, task, _)| {
                page.framework_id.as_ref().is_none_or(|id| id == framework)
                    && page.task_id.as_ref().is_none_or(|id| id == task)
            })
            .map(|(_, _, value)| value)
            .collect();
        // Newest first unless asked otherwise, as in Mesos.
        if page.order != Some(Order::Asc) {
            tasks.reverse();
        }
        let tasks: Vec<Value> = tasks
            .into_iter()
            .skip(page.offset.unwrap_or(0))
            .take(page.limit.unwrap_or(100))
            .collect();
        json!({ "tasks": tasks })
    })
    .await
}
