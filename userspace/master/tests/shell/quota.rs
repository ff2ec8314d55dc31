//! `/quota` and its calls: the statuses of Mesos' `MasterQuotaTest`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::rig::*;

fn guarantee(cpus: f64, mem: f64) -> Value {
    let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
    json!([scalar("cpus", cpus), scalar("mem", mem)])
}

fn update(config: &Value, force: bool) -> Value {
    json!({ "type": "UPDATE_QUOTA", "update_quota": { "force": force, "quota_configs": [config] } })
}

fn config(role: &str, guarantees: (f64, f64), limits: (f64, f64)) -> Value {
    let amounts =
        |(cpus, mem): (f64, f64)| json!({ "cpus": { "value": cpus }, "mem": { "value": mem } });
    json!({ "role": role, "guarantees": amounts(guarantees), "limits": amounts(limits) })
}

#[tokio::test]
async fn update_and_get_quota() {
    let rig = Rig::start().await;
    let call = update(&config("role1", (1.0, 1024.0), (2.0, 2048.0)), true);
    assert_eq!(rig.call(call).await, (StatusCode::OK, json!("")));
    let rig = rig.killed().await;
    let status = json!({
        "infos": [{ "role": "role1", "guarantee": guarantee(1.0, 1024.0) }],
        "configs": [config("role1", (1.0, 1024.0), (2.0, 2048.0))],
    });
    let (code, answer) = rig.call(json!({ "type": "GET_QUOTA" })).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(answer, json!({ "type": "GET_QUOTA", "get_quota": { "status": status } }));
    assert_eq!(rig.get("/quota").await, (StatusCode::OK, status));
    let roles = json!({ "roles": [{
        "name": "role1",
        "weight": 1.0,
        "quota": {
            "role": "role1",
            "guarantee": { "cpus": 1.0, "mem": 1024.0 },
            "limit": { "cpus": 2.0, "mem": 2048.0 },
            "consumed": {},
        },
        "resources": {},
        "allocated": {},
        "offered": {},
        "reserved": {},
        "frameworks": [],
    }] });
    assert_eq!(rig.get("/roles").await, (StatusCode::OK, roles));
}

#[tokio::test]
async fn invalid_set_request() {
    let rig = Rig::start().await;
    for (body, wanted) in [
        ("{ invalidJson }", "it is no JSON"),
        (r#"{"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}"#, "role is not"),
        (r#"{"role":"some-role","unknownField":"unknownValue"}"#, "guarantee is empty"),
        (r#"{"resources":[" invalidResource" : 1]}"#, "it is no JSON"),
        (r#"{"role":"r","guarantee":[{"name":"cpus"}]}"#, "field guarantee[0].type is required"),
        (r#"{"role":"r","guarantee":[{"name":"cpus","type":"X"}]}"#, "\"X\" is not one of SCALAR"),
        (
            r#"{"role":"r","guarantee":[{"name":"ports","type":"SET","set":{"item":["a"]}}]}"#,
            "quota is for scalars",
        ),
        (
            r#"{"role":"a/b","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}"#,
            "nested",
        ),
    ] {
        let (status, problem) = rig.ask("POST", "/quota", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problem.as_str().unwrap().contains(wanted), "{problem}");
    }
    assert_eq!(rig.get("/quota").await.1, json!({}));
}

#[tokio::test]
async fn set_existing_and_remove_quota() {
    let rig = Rig::start().await;
    let body = |force: bool| {
        json!({ "role": "role1", "guarantee": guarantee(1.0, 512.0), "force": force }).to_string()
    };
    // Without agents there is nothing to promise.
    assert_eq!(rig.ask("POST", "/quota", &body(false)).await.0, StatusCode::CONFLICT);
    assert_eq!(rig.ask("DELETE", "/quota/role1", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.ask("POST", "/quota", &body(true)).await.0, StatusCode::OK);
    assert_eq!(rig.ask("POST", "/quota", &body(true)).await.0, StatusCode::BAD_REQUEST);
    let rig = rig.killed().await;
    assert_eq!(rig.ask("POST", "/quota", &body(true)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.ask("DELETE", "/master/quota/role1", "").await.0, StatusCode::OK);
    assert_eq!(rig.ask("DELETE", "/quota/role1", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.ask("DELETE", "/quota", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.ask("PUT", "/quota", "{}").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let rig = rig.killed().await;
    assert_eq!(rig.get("/quota").await.1, json!({}));
}

#[tokio::test]
async fn set_and_remove_by_the_older_calls() {
    let rig = Rig::start().await;
    let set = json!({
        "type": "SET_QUOTA",
        "set_quota": { "quota_request": {
            "force": true, "role": "role1", "guarantee": guarantee(1.0, 512.0),
        } },
    });
    assert_eq!(rig.call(set.clone()).await.0, StatusCode::OK);
    assert_eq!(rig.call(set).await.0, StatusCode::BAD_REQUEST);
    let remove = json!({ "type": "REMOVE_QUOTA", "remove_quota": { "role": "role1" } });
    assert_eq!(rig.call(remove.clone()).await.0, StatusCode::OK);
    assert_eq!(rig.call(remove).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn more_than_the_cluster_has_needs_force() {
    let rig = Rig::start().await;
    let _agent = rig.agent().await;
    let wanted = config("role1", (4.0, 4096.0), (8.0, 8192.0));
    assert_eq!(rig.call(update(&wanted, false)).await.0, StatusCode::OK);
    let more = || config("role2", (0.5, 0.0), (8.0, 8192.0));
    let (status, problem) = rig.call(update(&more(), false)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem.as_str().unwrap().contains("cpus:4.5;mem:4096, are more"), "{problem}");
    let set = json!({ "role": "role2", "guarantee": guarantee(0.5, 1.0) }).to_string();
    assert_eq!(rig.ask("POST", "/quota", &set).await.0, StatusCode::CONFLICT);
    assert_eq!(rig.call(update(&more(), true)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn nothing_is_answered_that_is_not_written() {
    use std::sync::atomic::Ordering;
    let rig = Rig::start().await;
    rig.store.full.store(true, Ordering::SeqCst);
    let wanted = || update(&config("role1", (1.0, 1.0), (1.0, 1.0)), true);
    let pending = rig.call(wanted());
    tokio::pin!(pending);
    // It waits for the disk, and others are told at once.
    tokio::select! {
        answer = &mut pending => panic!("{answer:?}"),
        () = async {
            while rig.get("/health").await.0 == StatusCode::OK {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        } => {}
    }
    assert_eq!(rig.call(wanted()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.killed().await.get("/quota").await.1, json!({}));
    rig.store.full.store(false, Ordering::SeqCst);
    assert_eq!(pending.await.0, StatusCode::OK);
    assert_eq!(rig.killed().await.get("/roles").await.1["roles"][0]["name"], "role1");
}
