//! The agent's HTTP interface, as Mesos serves it: unversioned JSON to read, and the v1 APIs
//! for operators and executors.
//!
//! Every path also answers below `/slave(1)`, as in Mesos.

mod call;
mod containers;
mod executor;
mod files;
mod images;
mod media;
mod metrics;
pub(crate) mod nodes;
mod operator;
mod state;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::containers::Containers;
use crate::sessions::Sessions;
use crate::shell::{Shared, look};
use crate::subscriptions::Subscriptions;
use crate::{Agent, Config, Input, LogLevel};

/// What the handlers look at.
#[derive(Clone)]
pub(crate) struct Look {
    agent: Shared,
    containers: Containers,
    clock: Clock,
    flags: Arc<Value>,
    master: Arc<str>,
    subscriptions: Subscriptions,
    inputs: mpsc::Sender<Input>,
    sessions: Sessions,
    log_level: Option<LogLevel>,
}

impl Look {
    pub(crate) fn new(
        config: &Config,
        agent: Shared,
        containers: Containers,
        clock: Clock,
        subscriptions: Subscriptions,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        let master = config.master.as_str().into();
        let flags = Arc::new(config.flags());
        let (sessions, log_level) = (Sessions::default(), config.log_level.clone());
        Self { agent, containers, clock, flags, master, subscriptions, inputs, sessions, log_level }
    }

    fn agent<T>(&self, question: impl FnOnce(&Agent) -> T) -> T {
        question(&look(&self.agent))
    }
}

/// The agent's routes, and `more`.
pub(crate) fn router(look: Look, more: Router) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/version", get(version))
        .route("/flags", get(flags))
        .route("/state", get(state))
        // As old clients ask for it.
        .route("/state.json", get(state))
        .route("/containers", get(containers::containers))
        .route("/monitor/statistics", get(containers::statistics))
        .route("/monitor/statistics.json", get(containers::statistics))
        .route("/images", get(images::list))
        .route("/images", delete(images::remove))
        .route("/images/pull", post(images::pull))
        .route("/files/browse", get(files::browse))
        .route("/files/read", get(files::read))
        .route("/files/download", get(files::download))
        .route("/files/debug", get(files::debug))
        .route("/metrics/snapshot", get(metrics::snapshot))
        .route("/api/v1", post(operator::call))
        .route("/api/v1/executor", post(executor::call))
        .with_state(look)
        .merge(more);
    Router::new().merge(routes.clone()).nest("/slave(1)", routes)
}

/// 200 while checkpoints can be written, else 503 with the reason: no task is accepted then.
async fn health(State(look): State<Look>) -> Response {
    match look.agent(|agent| agent.store_failure().map(str::to_owned)) {
        None => StatusCode::OK.into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

async fn flags(State(look): State<Look>) -> Json<Value> {
    Json(json!({ "flags": *look.flags }))
}

async fn state(State(look): State<Look>) -> Json<Value> {
    let shown = look.agent(|agent| state::state(agent, &look));
    Json(shown)
}
