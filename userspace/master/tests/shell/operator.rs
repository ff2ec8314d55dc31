//! `POST /api/v1`: what is refused how, and the calls that only read.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use muster_api::mesos::master::{Call, Response, call, response};
use muster_api::mesos::scheduler::event;
use muster_api::{Encoding, wire};
use serde_json::{Value, json};

use crate::rig::*;

async fn post(rig: &Rig, headers: &[(&str, &str)], body: &[u8]) -> (StatusCode, String, Vec<u8>) {
    let mut request = Request::post("/api/v1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    rig.send(request.body(Body::from(body.to_vec())).unwrap()).await
}

#[tokio::test]
async fn headers_and_bodies_that_will_not_do() {
    let rig = Rig::start().await;
    let json_type = ("content-type", "application/json");
    let protobuf_type = ("content-type", "application/x-protobuf");
    let health = br#"{"type":"GET_HEALTH"}"#;
    for (headers, body, wanted) in [
        (vec![], &health[..], StatusCode::BAD_REQUEST),
        (
            vec![("content-type", "unsupported/media-type")],
            health,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (vec![json_type], b"{", StatusCode::BAD_REQUEST),
        (vec![json_type], b"MALFORMED_CONTENT", StatusCode::BAD_REQUEST),
        (vec![json_type], b"[]", StatusCode::BAD_REQUEST),
        (vec![json_type], b"{}", StatusCode::BAD_REQUEST),
        (vec![json_type], br#"{"type":"NO_SUCH_CALL"}"#, StatusCode::BAD_REQUEST),
        (vec![json_type], br#"{"type":"UPDATE_QUOTA"}"#, StatusCode::BAD_REQUEST),
        (vec![json_type], br#"{"type":"GET_METRICS"}"#, StatusCode::BAD_REQUEST),
        (vec![protobuf_type], b"MALFORMED_CONTENT", StatusCode::BAD_REQUEST),
        (vec![protobuf_type], b"", StatusCode::BAD_REQUEST),
        (vec![protobuf_type], &[0x08, 99], StatusCode::BAD_REQUEST),
        // REMOVE_QUOTA without the role that it requires.
        (vec![protobuf_type], &[0x08, 30, 0x7a, 0], StatusCode::BAD_REQUEST),
        (vec![json_type, ("accept", "text/html")], health, StatusCode::NOT_ACCEPTABLE),
        (vec![json_type, ("accept", "*/*")], health, StatusCode::OK),
        (vec![json_type], health, StatusCode::OK),
        (vec![protobuf_type], &[0x08, 1], StatusCode::OK),
        (vec![json_type], br#"{"type":"UNKNOWN"}"#, StatusCode::NOT_IMPLEMENTED),
        (vec![protobuf_type], &[0x08, 0], StatusCode::NOT_IMPLEMENTED),
    ] {
        let (status, _, answer) = post(&rig, &headers, body).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(status, wanted, "{headers:?} {}: {answer}", String::from_utf8_lossy(body));
    }
    let get = Request::get("/api/v1").body(Body::empty()).unwrap();
    assert_eq!(rig.send(get).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn calls_that_are_not_supported_are_refused_by_name() {
    let rig = Rig::start().await;
    for name in ["SUBSCRIBE", "LIST_FILES", "DRAIN_AGENT", "MARK_AGENT_GONE", "SET_LOGGING_LEVEL"] {
        let (status, problem) = rig.call(json!({ "type": name })).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        assert!(problem.as_str().unwrap().contains(name), "{problem}");
    }
}

#[tokio::test]
async fn answers_are_in_the_encoding_that_is_accepted() {
    let rig = Rig::start().await;
    let weights = call::UpdateWeights {
        weight_infos: vec![muster_api::mesos::WeightInfo { weight: 3.0, role: Some("a".into()) }],
    };
    let mut call = Call { update_weights: Some(weights), ..Call::default() };
    call.set_type(call::Type::UpdateWeights);
    let protobuf = [("content-type", "application/x-protobuf")];
    let (status, _, _) = post(&rig, &protobuf, &wire::encode(&call).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let mut call = Call::default();
    call.set_type(call::Type::GetWeights);
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        for accepted in [Encoding::Json, Encoding::Protobuf] {
            let headers =
                [("content-type", encoding.media_type()), ("accept", accepted.media_type())];
            let body = encoding.encode(&call).unwrap();
            let (status, content, answer) = post(&rig, &headers, &body).await;
            assert_eq!((status, content.as_str()), (StatusCode::OK, accepted.media_type()));
            let answer: Response = accepted.decode(&answer).unwrap();
            assert_eq!(answer.r#type(), response::Type::GetWeights);
            assert_eq!(answer.get_weights.unwrap().weight_infos[0].weight.to_string(), "3");
        }
    }
}

/// The content of an answer, which is named like the call.
async fn read(rig: &Rig, call: Value) -> Value {
    let name = call["type"].as_str().unwrap().to_owned();
    let (status, mut answer) = rig.call(call).await;
    assert_eq!(status, StatusCode::OK, "{name}: {answer}");
    assert_eq!(answer["type"], name);
    answer[name.to_lowercase()].take()
}

#[tokio::test]
async fn what_can_be_read() {
    let rig = Rig::with(|options| {
        options.flags = [("cluster".to_owned(), "test".to_owned())].into();
    })
    .await;
    let (_say, mut messages) = rig.agent().await;
    let mut scheduler = subscribe(&rig.kernel).await;
    let offers = hear_event(&mut scheduler, event::Type::Offers).await.offers.unwrap().offers;
    scheduler.calls.send(launch(&offers[0])).await.unwrap();
    while !matches!(
        hear(&mut messages).await,
        muster_api::muster::master_message::Message::Launch(_)
    ) {}
    // What is left is offered again.
    hear_event(&mut scheduler, event::Type::Offers).await;
    let of = |name: &str| json!({ "type": name });

    assert_eq!(read(&rig, of("GET_HEALTH")).await, json!({ "healthy": true }));
    let version = read(&rig, of("GET_VERSION")).await;
    assert_eq!(version["version_info"]["version"], env!("CARGO_PKG_VERSION"));
    let flags = read(&rig, of("GET_FLAGS")).await;
    assert_eq!(flags, json!({ "flags": [{ "name": "cluster", "value": "test" }] }));
    let master = read(&rig, of("GET_MASTER")).await;
    assert_eq!(master["master_info"]["hostname"], "localhost");
    let metrics = read(&rig, json!({ "type": "GET_METRICS", "get_metrics": {} })).await;
    let metric = |name: &str| -> f64 {
        let metrics = metrics["metrics"].as_array().unwrap();
        metrics.iter().find(|m| m["name"] == name).unwrap()["value"].as_f64().unwrap()
    };
    assert!(metric("allocator/mesos/allocation_runs") >= 2.0);
    assert!(metric("allocator/mesos/allocation_run_ms/count") >= 1.0);
    assert_eq!(metric("allocator/mesos/resources/cpus/total").to_string(), "4");

    let state = read(&rig, of("GET_STATE")).await;
    let agents = read(&rig, of("GET_AGENTS")).await;
    assert_eq!(state["get_agents"], agents);
    let agent = &agents["agents"][0];
    assert_eq!((&agent["active"], &agent["agent_info"]["port"]), (&json!(true), &json!(5051)));
    let resource = |list: &Value, name: &str| -> Value {
        list.as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone()
    };
    assert_eq!(resource(&agent["total_resources"], "cpus")["scalar"]["value"], 4.0);
    assert_eq!(resource(&agent["total_resources"], "cpus")["role"], "*");
    assert_eq!(resource(&agent["allocated_resources"], "cpus")["scalar"]["value"], 1.0);
    assert_eq!(resource(&agent["offered_resources"], "cpus")["scalar"]["value"], 3.0);
    let frameworks = read(&rig, of("GET_FRAMEWORKS")).await;
    assert_eq!(state["get_frameworks"], frameworks);
    let framework = &frameworks["frameworks"][0];
    assert_eq!((&framework["connected"], &framework["recovered"]), (&json!(true), &json!(false)));
    assert_eq!(framework["framework_info"]["name"], "f");
    assert_eq!(framework["offers"][0]["hostname"], "one");
    let tasks = read(&rig, of("GET_TASKS")).await;
    assert_eq!(state["get_tasks"], tasks);
    let task = &tasks["tasks"][0];
    assert_eq!((&task["state"], &task["name"]), (&json!("TASK_STAGING"), &json!("t")));
    assert_eq!(task["resources"][0]["allocation_info"]["role"], "*");
    let roles = read(&rig, of("GET_ROLES")).await;
    let role = &roles["roles"][0];
    assert_eq!((&role["name"], &role["weight"]), (&json!("*"), &json!(1.0)));
    assert_eq!(role["frameworks"][0], framework["framework_info"]["id"]);
    assert_eq!(resource(&role["resources"], "mem")["scalar"]["value"], 4096.0);
    assert_eq!(read(&rig, of("GET_EXECUTORS")).await, json!({}));
    assert_eq!(read(&rig, of("GET_OPERATIONS")).await, json!({}));
}

#[tokio::test]
async fn teardown() {
    let rig = Rig::start().await;
    let mut scheduler = subscribe(&rig.kernel).await;
    let subscribed = hear_event(&mut scheduler, event::Type::Subscribed).await.subscribed.unwrap();
    let id = subscribed.framework_id.value;
    let call =
        |id: &str| json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id } } });
    assert_eq!(rig.call(call("other")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.call(call(&id)).await.0, StatusCode::OK);
    assert_eq!(rig.call(call(&id)).await.0, StatusCode::BAD_REQUEST);
    let frameworks = read(&rig.killed().await, json!({ "type": "GET_FRAMEWORKS" })).await;
    assert_eq!(frameworks["completed_frameworks"][0]["framework_info"]["id"]["value"], id);
}
