//! `/maintenance` and `/machine`.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use muster_api::json::{self, Json};
use muster_api::mesos::MachineId;
use serde_json::{Value, json};

use super::answer::{bad_request, change};
use crate::core::{Change, Master};
use crate::kernel::Kernel;

pub(super) fn schedule(master: &Master) -> Value {
    json!(Json(master.maintenance_schedule()))
}

pub(super) fn status(master: &Master) -> Value {
    json!(Json(&master.maintenance_status()))
}

/// `POST {"windows":[{"machine_ids":[…],"unavailability":{…}}]}`.
pub(super) async fn update(State(kernel): State<Kernel>, body: Bytes) -> Response {
    match json::from_slice(&body) {
        Ok(schedule) => change(&kernel, Change::Schedule(schedule)).await,
        Err(error) => bad_request(error.to_string()),
    }
}

/// `POST [{"hostname":…,"ip":…}]`.
pub(super) async fn down(State(kernel): State<Kernel>, body: Bytes) -> Response {
    match machines(&body) {
        Ok(machines) => change(&kernel, Change::Down(machines)).await,
        Err(problem) => bad_request(problem),
    }
}

/// `POST [{"hostname":…,"ip":…}]`.
pub(super) async fn up(State(kernel): State<Kernel>, body: Bytes) -> Response {
    match machines(&body) {
        Ok(machines) => change(&kernel, Change::Up(machines)).await,
        Err(problem) => bad_request(problem),
    }
}

fn machines(body: &[u8]) -> Result<Vec<MachineId>, String> {
    let wanted = "a JSON array of {\"hostname\": \"…\", \"ip\": \"…\"} is wanted";
    json::list(body).map_err(|error| format!("{wanted}: {error}"))
}
