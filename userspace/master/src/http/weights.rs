//! `/weights`.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use muster_api::json::{self, Json};
use muster_api::mesos::WeightInfo;
use serde_json::{Value, json};

use super::answer::{bad_request, change};
use crate::core::{Change, Master};
use crate::kernel::Kernel;

/// What was ever set, by role.
pub(super) fn infos(master: &Master) -> Vec<WeightInfo> {
    let weights = master.weights().iter();
    weights.map(|(role, weight)| WeightInfo { weight: *weight, role: Some(role.clone()) }).collect()
}

pub(super) fn weights(master: &Master) -> Value {
    infos(master).iter().map(|info| json!(Json(info))).collect()
}

/// `PUT [{"role":…,"weight":…}]`.
pub(super) async fn update(State(kernel): State<Kernel>, body: Bytes) -> Response {
    match read(&body) {
        Ok(weights) => change(&kernel, Change::Weights(weights)).await,
        Err(problem) => bad_request(problem),
    }
}

fn read(body: &[u8]) -> Result<Vec<WeightInfo>, String> {
    let wanted = "a JSON array of {\"role\": \"…\", \"weight\": 2.0} is wanted";
    json::list(body).map_err(|error| format!("{wanted}: {error}"))
}
