//! The master's HTTP interface, as Mesos serves it: unversioned JSON, and the v1 operator API.
//!
//! Every path also answers below `/master`, as in Mesos.

mod answer;
mod constraints;
mod json;
mod maintenance;
mod metrics;
mod operator;
mod quota;
mod roles;
mod state;
mod weights;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::decompression::RequestDecompressionLayer;

use self::answer::{Jsonp, read};
use crate::kernel::Kernel;

/// The master's routes.
pub fn router(kernel: Kernel) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/version", get(|kernel, jsonp| read(kernel, jsonp, |_| version())))
        .route("/flags", get(|kernel, jsonp| read(kernel, jsonp, state::flags)))
        .route("/state", get(|kernel, jsonp| read(kernel, jsonp, state::state)))
        // As old clients ask for it.
        .route("/state.json", get(|kernel, jsonp| read(kernel, jsonp, state::state)))
        .route("/slaves", get(|kernel, jsonp| read(kernel, jsonp, state::slaves)))
        .route("/frameworks", get(|kernel, jsonp| read(kernel, jsonp, state::frameworks)))
        .route("/roles", get(|kernel, jsonp| read(kernel, jsonp, roles::roles)))
        .route("/tasks", get(tasks))
        .route("/metrics/snapshot", get(|kernel, jsonp| read(kernel, jsonp, metrics::snapshot)))
        .route(
            "/offer_constraints_debug",
            get(|kernel, jsonp| read(kernel, jsonp, constraints::debug)),
        )
        .route(
            "/weights",
            get(|kernel, jsonp| read(kernel, jsonp, weights::weights)).put(weights::update),
        )
        .route(
            "/quota",
            get(|kernel, jsonp| read(kernel, jsonp, quota::quota))
                .post(quota::set)
                .delete(quota::remove_what),
        )
        .route("/quota/{*role}", axum::routing::delete(quota::remove))
        .route(
            "/maintenance/schedule",
            get(|kernel, jsonp| read(kernel, jsonp, maintenance::schedule))
                .post(maintenance::update),
        )
        .route("/maintenance/status", get(|kernel, jsonp| read(kernel, jsonp, maintenance::status)))
        .route("/machine/down", post(maintenance::down))
        .route("/machine/up", post(maintenance::up))
        .route("/api/v1", post(operator::call))
        .with_state(kernel);
    // Short answers do not get shorter; below so many bytes Mesos does not compress either.
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(1024));
    Router::new()
        .merge(routes.clone())
        .nest("/master", routes)
        .layer(compression)
        .layer(RequestDecompressionLayer::new())
}

/// 200 while the registry can be written, else 503 with the reason.
async fn health(State(kernel): State<Kernel>) -> Response {
    match kernel.stalled() {
        None => StatusCode::OK.into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

fn version() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION") })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
    offset: Option<usize>,
    order: Option<Order>,
    framework_id: Option<String>,
    task_id: Option<String>,
    jsonp: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Des,
}

async fn tasks(
    State(kernel): State<Kernel>,
    page: Result<Query<Page>, QueryRejection>,
) -> Response {
    let Query(mut page) = match page {
        Ok(page) => page,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    let jsonp = Jsonp { jsonp: page.jsonp.take() };
    read(State(kernel), Ok(Query(jsonp)), move |master| {
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
