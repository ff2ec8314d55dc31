//! `/quota`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use muster_api::json::{self, Json};
use muster_api::mesos::quota::QuotaStatus;
use serde_json::{Value, json};

use super::answer::{bad_request, change};
use crate::core::{Change, Master};
use crate::kernel::Kernel;
use crate::quota::{write, write_info};

/// All quotas that are set, in the new form and in the old.
#[expect(deprecated, reason = "operators' tools read it")]
pub(super) fn status(master: &Master) -> QuotaStatus {
    let quotas = master.quotas();
    QuotaStatus {
        infos: quotas.iter().map(|(role, quota)| write_info(role, quota)).collect(),
        configs: quotas.iter().map(|(role, quota)| write(role, quota)).collect(),
    }
}

pub(super) fn quota(master: &Master) -> Value {
    json!(Json(&status(master)))
}

/// `POST {"role":…,"guarantee":[…],"force":…}`.
pub(super) async fn set(State(kernel): State<Kernel>, body: Bytes) -> Response {
    match json::from_slice(&body) {
        Ok(request) => change(&kernel, Change::NewQuota(request)).await,
        Err(error) => bad_request(error.to_string()),
    }
}

/// `DELETE /quota/ROLE`.
pub(super) async fn remove(State(kernel): State<Kernel>, Path(role): Path<String>) -> Response {
    change(&kernel, Change::NoQuota(role)).await
}

pub(super) async fn remove_what() -> Response {
    bad_request("the role is missing: DELETE /quota/ROLE")
}
