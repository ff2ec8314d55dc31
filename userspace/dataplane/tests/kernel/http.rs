//! minuteman's HTTP API on a real data plane.

use std::sync::{Arc, Mutex};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    machine::Machine,
    server::{Server, ask},
    view::{tcp, udp, weighted},
};

/// One request to a router.
async fn request(router: &axum::Router, method: &str, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get(router: &axum::Router, path: &str) -> Value {
    let (status, body) = request(router, "GET", path).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    body
}

#[tokio::test]
async fn answers_are_minutemans() {
    let Some(mut machine) = Machine::new() else { return };
    let server = Server::tcp();
    let (_, mut plane) = machine.plane();
    let other = "127.0.0.1:1".parse().unwrap();
    plane
        .reconcile(&[
            weighted(tcp("11.0.0.1:80", &[server.address, other]), &[1, 0]),
            tcp("11.0.0.2:80", &[]),
            udp("11.0.0.3:53", &[other]),
            tcp("[fd01:c::1]:80", &["[fd00::1]:80".parse().unwrap()]),
        ])
        .unwrap();
    let vip: std::net::SocketAddr = "11.0.0.1:80".parse().unwrap();
    ask(vip).unwrap();
    ask(vip).unwrap();

    let router = muster_dataplane::router(Arc::new(Mutex::new(plane)));
    let backend = |successes: u64, healthy: bool| {
        json!({
            "pending_connections": 0,
            "total_failures": 0,
            "total_sucesses": successes,
            "is_healthy": healthy,
            "latency_last_60s": {},
        })
    };
    let at = server.address.to_string();
    let first = json!({ at.clone(): backend(2, true), "127.0.0.1:1": backend(0, false) });
    assert_eq!(
        get(&router, "/vips").await,
        json!({ "vips": {
            "11.0.0.1:80": first,
            "11.0.0.2:80": {},
            "11.0.0.3:53": { "127.0.0.1:1": backend(0, true) },
            "[fd01:c::1]:80": { "[fd00::1]:80": backend(0, true) },
        }})
    );
    assert_eq!(get(&router, "/vip/11.0.0.1:80").await, first);
    assert_eq!(get(&router, &format!("/backend/{at}")).await, backend(2, true));
    let sixth = json!({ "[fd00::1]:80": backend(0, true) });
    assert_eq!(get(&router, "/vip/[fd01:c::1]:80").await, sixth);
    assert_eq!(get(&router, "/vip/%5Bfd01:c:0::1%5D:80").await, sixth);
    assert_eq!(get(&router, "/backend/[fd00::1]:80").await, backend(0, true));
    // In a VIP that drains it and in one that does not.
    assert_eq!(get(&router, "/backend/127.0.0.1:1").await["is_healthy"], false);

    for (path, error) in [
        ("/vip/11.0.0.2:80", "no_backends"),
        ("/vip/11.0.0.9:80", "no_backends"),
        ("/vip/11.0.0.1", "invalid_vip"),
        ("/vip/eleven:80", "invalid_vip"),
        ("/vip/11.0.0.1:65536", "invalid_vip"),
        ("/vip/fd01:c::1:80", "invalid_vip"),
        ("/vip/[fd01:c::2]:80", "no_backends"),
        ("/backend/10.1.1.1:80", "invalid_backend"),
        ("/backend/nonsense", "invalid_backend"),
    ] {
        assert_eq!(get(&router, path).await, json!({ "error": error }), "{path}");
    }
    assert_eq!(request(&router, "POST", "/vips").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(request(&router, "GET", "/nothing").await.0, StatusCode::NOT_FOUND);
}
