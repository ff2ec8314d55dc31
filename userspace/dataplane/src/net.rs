//! dcos-net's HTTP API (port 62080 in DC/OS, on the machine itself only).

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use muster_api::muster::Protocol;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    DataPlane, VipStatus,
    looking::{Shared, survey},
    prometheus,
};

/// dcos-net's registries that there is something in: by default all.
const REGISTRIES: [&str; 2] = ["default", "l4lb"];

/// `/v1/vips` and `/v1/metrics` of a data plane.
pub fn net_router(plane: Arc<Mutex<DataPlane>>) -> Router {
    Router::new()
        .route("/v1/vips", get(vips))
        .route("/v1/metrics", get(metrics))
        .route("/v1/metrics/{registry}", get(registry))
        .with_state(plane)
}

/// A VIP as dcos-net shows it: neither weights nor health.
#[derive(Serialize)]
struct Shown {
    /// `<name or address>:<port>`.
    vip: String,
    protocol: &'static str,
    backend: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    ip: String,
    port: u16,
}

async fn vips(State(plane): State<Shared>, headers: HeaderMap) -> Response {
    let body = survey(plane, |all| {
        serde_json::to_vec(&all.vips.iter().map(Shown::from).collect::<Vec<_>>())
    });
    let body = match body.await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
        Err(response) => return response,
    };
    tagged_json(body, &headers)
}

/// JSON with an `ETag`, or 304 without it for a client that has it.
pub fn tagged_json(body: Vec<u8>, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", STANDARD.encode(Sha256::digest(&body)));
    if is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let json = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, tag)];
    (json, body).into_response()
}

/// True if the client has what goes by this tag (RFC 9110, section 13.1.2). dcos-net's tags
/// have no quotes, so they may be missing.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let bare = tag.trim_matches('"');
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut given = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    given.any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given).trim_matches('"') == bare
    })
}

async fn metrics(State(plane): State<Shared>) -> Response {
    match survey(plane, prometheus::text).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(response) => response,
    }
}

async fn registry(State(plane): State<Shared>, Path(name): Path<String>) -> Response {
    if REGISTRIES.contains(&name.as_str()) {
        metrics(State(plane)).await
    } else {
        (StatusCode::NOT_FOUND, "Unknown Registry").into_response()
    }
}

// === impl Shown ===

impl From<&VipStatus> for Shown {
    fn from(vip: &VipStatus) -> Self {
        let place = |backend: &crate::BackendStatus| Place {
            ip: backend.address.ip().to_string(),
            port: backend.address.port(),
        };
        Self {
            vip: match &vip.name {
                Some(name) => format!("{name}:{}", vip.address.port()),
                None => vip.address.to_string(),
            },
            protocol: if vip.protocol == Protocol::Udp { "udp" } else { "tcp" },
            backend: vip.backends.iter().map(place).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::status::testing::{backend, vip};

    #[test]
    fn vips_are_dcos_nets_json() {
        let mut named = vip(80, Protocol::Tcp, vec![backend(1, 0), backend(2, 0)]);
        named.name = Some("web.marathon.l4lb.thisdcos.directory".into());
        let bare = vip(53, Protocol::Udp, vec![]);
        assert_eq!(
            serde_json::to_value([Shown::from(&named), Shown::from(&bare)]).unwrap(),
            json!([
                {
                    "vip": "web.marathon.l4lb.thisdcos.directory:80",
                    "protocol": "tcp",
                    "backend": [{"ip": "10.0.0.1", "port": 1}, {"ip": "10.0.0.1", "port": 2}],
                },
                {"vip": "11.0.0.1:53", "protocol": "udp", "backend": []},
            ])
        );
    }

    #[test]
    fn tags_are_compared_as_clients_write_them() {
        let known = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
            }
            is_known(&headers, "\"abc=\"")
        };
        for values in [
            &["\"abc=\""][..],
            &["W/\"abc=\""],
            &["abc="],
            &["*"],
            &["\"x\", \"abc=\""],
            &["\"x\"", "\"abc=\""],
        ] {
            assert!(known(values), "{values:?}");
        }
        for values in [&[][..], &["\"abc\""], &["\"\""], &["\"x\""]] {
            assert!(!known(values), "{values:?}");
        }
    }
}
