//! What the unversioned interface answers.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use muster_api::mesos::scheduler::event;
use serde_json::json;

use crate::rig::*;

#[tokio::test]
async fn roles_have_what_their_frameworks_use() {
    let rig = Rig::start().await;
    let _agent = rig.agent().await;
    let mut scheduler = subscribe(&rig.kernel).await;
    let offers = hear_event(&mut scheduler, event::Type::Offers).await.offers.unwrap().offers;
    scheduler.calls.send(launch(&offers[0])).await.unwrap();
    hear_event(&mut scheduler, event::Type::Offers).await;
    let (status, roles) = rig.get("/roles").await;
    assert_eq!(status, StatusCode::OK);
    let wanted = json!({ "roles": [{
        "name": "*",
        "weight": 1.0,
        "quota": {
            "role": "*",
            "guarantee": {},
            "limit": {},
            "consumed": { "cpus": 1.0, "mem": 64.0 },
        },
        "resources": { "cpus": 4.0, "mem": 4096.0 },
        "allocated": { "cpus": 1.0, "mem": 64.0 },
        "offered": { "cpus": 3.0, "mem": 4032.0 },
        "reserved": {},
        "frameworks": [offers[0].framework_id.value],
    }] });
    assert_eq!(roles, wanted);
    let metrics = rig.get("/metrics/snapshot").await.1;
    assert_eq!(metrics["allocator/mesos/roles/*/shares/dominant"], 1.0);
    assert_eq!(metrics["allocator/mesos/resources/cpus/offered_or_allocated"], 4.0);
    let debug = rig.get("/offer_constraints_debug").await.1;
    let entry = &debug["frameworks"][&offers[0].framework_id.value];
    assert_eq!(
        *entry,
        json!({ "suppressed_roles": [], "excluded_by_attribute_constraints": { "*": [] } })
    );
}

#[tokio::test]
async fn flags_are_shown() {
    let rig = Rig::with(|options| {
        options.flags = [("roles".to_owned(), "a,b".to_owned())].into();
    })
    .await;
    assert_eq!(rig.get("/flags").await.1, json!({ "flags": { "roles": "a,b" } }));
    for path in ["/state", "/state.json", "/master/state.json"] {
        assert_eq!(rig.get(path).await.1["flags"], json!({ "roles": "a,b" }), "{path}");
    }
}

#[tokio::test]
async fn reads_may_be_calls_of_a_function() {
    let rig = Rig::start().await;
    let ask = |path: &'static str| Request::get(path).body(Body::empty()).unwrap();
    let (status, content, body) = rig.send(ask("/weights?jsonp=page.show")).await;
    assert_eq!((status, content.as_str()), (StatusCode::OK, "text/javascript"));
    assert_eq!(body, b"page.show([]);");
    let (status, ..) = rig.send(ask("/weights?jsonp=alert(1)")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _, body) = rig.send(ask("/tasks?jsonp=f&limit=1")).await;
    assert_eq!((status, body), (StatusCode::OK, b"f({\"tasks\":[]});".to_vec()));
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    use std::io::{Read as _, Write as _};

    let rig = Rig::start().await;
    let weights: Vec<_> =
        (0..50).map(|n| json!({ "weight": 2.0, "role": format!("role{n:02}") })).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json!(weights).to_string().as_bytes()).unwrap();
    let request = Request::put("/weights")
        .header("content-encoding", "gzip")
        .body(Body::from(gzip.finish().unwrap()))
        .unwrap();
    assert_eq!(rig.send(request).await.0, StatusCode::OK);
    let request =
        Request::get("/weights").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let (_, content, body) = rig.send(request).await;
    assert_eq!(content, "application/json");
    let mut text = String::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, json!(weights).to_string());
    // Who does not ask for it does not get it.
    assert_eq!(rig.get("/weights").await.1, json!(weights));
}
