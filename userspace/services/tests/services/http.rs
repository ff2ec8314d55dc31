//! The HTTP API through its router, with the core behind it and a master beside it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{Offer, TaskState, TaskStatus};
use muster_services::{Config, Services, start};
use muster_store::Memory;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use super::world::{launched, port_range, scalar};

/// Services with a master that gives whatever is asked for, at once.
pub(crate) struct Service {
    pub(crate) router: Router,
    _services: Services,
}

pub(crate) fn service() -> Service {
    let (calls, said) = mpsc::channel(16);
    let (heard, events) = mpsc::channel(16);
    let services = start(Config::new("here"), Arc::new(Memory::default()), calls, events).unwrap();
    tokio::spawn(master(said, heard));
    Service { router: services.router(), _services: services }
}

/// Offers what one agent has, runs what is launched, ends what is killed.
async fn master(mut said: mpsc::Receiver<Call>, heard: mpsc::Sender<Event>) {
    let mut offers = 0;
    while let Some(call) = said.recv().await {
        let mut events = Vec::new();
        match call.r#type() {
            call::Type::Subscribe => events.push(Event {
                r#type: Some(event::Type::Subscribed.into()),
                subscribed: Some(event::Subscribed {
                    framework_id: "f-0000".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            call::Type::Revive => {
                offers += 1;
                events.push(Event {
                    r#type: Some(event::Type::Offers.into()),
                    offers: Some(event::Offers { offers: vec![offer(offers)] }),
                    ..Default::default()
                });
            }
            call::Type::Accept => {
                for task in launched(&call) {
                    events.push(update(&task.task_id.value, TaskState::TaskRunning));
                }
            }
            call::Type::Kill => {
                events.push(update(&call.kill.unwrap().task_id.value, TaskState::TaskKilled));
            }
            _ => {}
        }
        for event in events {
            if heard.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn offer(number: u32) -> Offer {
    Offer {
        id: format!("O{number}").into(),
        agent_id: "a1".into(),
        hostname: "a1.example".into(),
        resources: vec![scalar("cpus", 8.0), scalar("mem", 8192.0), port_range(31_000, 32_000)],
        ..Default::default()
    }
}

fn update(task: &str, state: TaskState) -> Event {
    let status = TaskStatus {
        task_id: task.into(),
        state: state.into(),
        agent_id: Some("a1".into()),
        uuid: Some(task.as_bytes().to_vec()),
        ..Default::default()
    };
    Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(event::Update { status }),
        ..Default::default()
    }
}

impl Service {
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, headers, text) = self.send(method, path, body).await;
        assert_eq!(headers["content-type"], "application/json", "{method} {path}: {text}");
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Waits until no deployment runs.
    async fn settled(&self) {
        for _ in 0..1000 {
            if self.get("/v2/deployments").await == json!([]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}", self.get("/v2/deployments").await);
    }
}

#[tokio::test]
async fn the_life_of_an_application() {
    let service = service();
    let (status, headers, text) = service
        .send(
            "POST",
            "/v2/apps",
            json!({"id": "nginx", "container": {"type": "MESOS", "docker": {"image": "nginx"}},
                "portDefinitions": [{"port": 0, "labels": {"VIP_0": "/nginx:80"}}],
                "cpus": 0.1, "mem": 64, "instances": 3})
            .to_string(),
        )
        .await;
    assert_eq!(status, 201, "{text}");
    assert_eq!(headers["location"], "/v2/apps/nginx");
    assert_eq!(headers["x-marathon-leader"], "http://here:8080");
    let mut created: Value = serde_json::from_str(&text).unwrap();
    let deployment = headers["marathon-deployment-id"].to_str().unwrap();
    assert_eq!(created["deployments"], json!([{"id": deployment}]));
    let version = created["version"].clone();
    created.as_object_mut().unwrap().remove("deployments");
    assert_eq!(
        created,
        json!({
            "id": "/nginx",
            "acceptedResourceRoles": ["*"],
            "backoffFactor": 1.15,
            "backoffSeconds": 1,
            "container": {
                "type": "MESOS",
                "volumes": [],
                "docker": {"image": "nginx", "forcePullImage": false, "parameters": []},
            },
            "cpus": 0.1,
            "disk": 0.0,
            "executor": "",
            "gpus": 0,
            "instances": 3,
            "killSelection": "YOUNGEST_FIRST",
            "labels": {},
            "maxLaunchDelaySeconds": 300,
            "mem": 64.0,
            "networks": [{"mode": "host"}],
            "portDefinitions": [
                {"port": 10000, "protocol": "tcp", "labels": {"VIP_0": "/nginx:80"}},
            ],
            "requirePorts": false,
            "role": "*",
            "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
            "upgradeStrategy": {"minimumHealthCapacity": 1.0, "maximumOverCapacity": 1.0},
            "version": version,
            "versionInfo": {"lastScalingAt": version, "lastConfigChangeAt": version},
            "tasksStaged": 0,
            "tasksRunning": 0,
            "tasksHealthy": 0,
            "tasksUnhealthy": 0,
        })
    );
    service.settled().await;
    let app = service.get("/v2/apps/nginx").await;
    assert_eq!(app["app"]["tasksRunning"], 3);
    assert_eq!(app["app"]["tasks"].as_array().unwrap().len(), 3);
    let list = service.get("/v2/apps?id=NGI&embed=apps.taskStats").await;
    assert!(list["apps"][0].get("tasks").is_none());
    let counts = &list["apps"][0]["taskStats"]["totalSummary"]["stats"]["counts"];
    assert_eq!(counts, &json!({"staged": 0, "running": 3, "healthy": 0, "unhealthy": 0}));
    assert_eq!(service.get("/v2/apps?id=other").await["apps"], json!([]));
    let embedded = service.get("/v2/apps?embed=apps.tasks").await;
    assert_eq!(embedded["apps"][0]["tasks"].as_array().unwrap().len(), 3);

    let (status, body) = service.ask("PUT", "/v2/apps//nginx", json!({"instances": 1})).await;
    assert_eq!(status, 200, "{body}");
    service.settled().await;
    let tasks = service.get("/v2/apps/nginx/tasks").await;
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1);
    let (status, body) = service.ask("DELETE", "/v2/apps/nginx", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    service.settled().await;
    let (status, body) = service.ask("GET", "/v2/apps/nginx", Value::Null).await;
    assert_eq!((status, body), (404, json!({"message": "App '/nginx' does not exist"})));
}

#[tokio::test]
async fn ids_may_be_paths() {
    let service = service();
    let (status, _, _) = service
        .send("POST", "/v2/apps", json!({"id": "/a/b.c/d", "cmd": "x", "mem": 1}).to_string())
        .await;
    assert_eq!(status, 201);
    service.settled().await;
    for path in
        ["/v2/apps/a/b.c/d", "/v2/apps//a/b.c/d", "/v2/apps/%2Fa%2Fb.c%2Fd", "/v2/apps/a/b.c/d/"]
    {
        assert_eq!(service.get(path).await["app"]["id"], "/a/b.c/d", "{path}");
    }
    assert_eq!(service.get("/v2/apps/a/*").await["*"].as_array().unwrap().len(), 1);
    let versions = service.get("/v2/apps/a/b.c/d/versions").await;
    let version = versions["versions"][0].as_str().unwrap();
    let shown = service.get(&format!("/v2/apps/a/b.c/d/versions/{version}")).await;
    assert_eq!(shown["cmd"], "x");
    let task = service.get("/v2/apps/a/b.c/d/tasks").await["tasks"][0]["id"].clone();
    let path = format!("/v2/apps/a/b.c/d/tasks/{}", task.as_str().unwrap());
    let (status, body) = service.ask("DELETE", &path, Value::Null).await;
    assert_eq!((status, &body["task"]["id"]), (200, &task));
    let (status, _) = service.ask("POST", "/v2/apps/a/b.c/d/restart", Value::Null).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let service = service();
    let (status, body) = {
        let (status, _, text) = service.send("POST", "/v2/apps", r#"{"id": "a", }"#).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    assert_eq!(status, 400);
    assert_eq!(
        body,
        json!({
            "message": "Invalid JSON",
            "details": [
                {"path": "/", "errors": ["trailing comma at line 1 column 13"]},
            ],
        })
    );
    for bad in ["", "NaN", r#"{"cpus": NaN}"#, r#"{"cpus": 1e999}"#, "\u{0}", &"[".repeat(10_000)] {
        let (status, _, text) = service.send("POST", "/v2/apps", bad.to_owned()).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("Invalid JSON"));
    }
    let image = json!({"type": "MESOS", "docker": {"image": "nginx", "network": "BRIDGE"}});
    let (status, body) =
        service.ask("POST", "/v2/apps", json!({"id": "a", "container": image})).await;
    assert_eq!(status, 422);
    assert_eq!(body["message"], "Object is not valid");
    assert_eq!(body["details"][0]["path"], "/container/docker/network");
    let (status, body) = service.ask("POST", "/v2/apps", json!({"id": 1})).await;
    assert_eq!((status, body["message"].as_str()), (422, Some("Invalid JSON")));
    let (status, body) = service.ask("POST", "/v2/apps?force=maybe", json!({})).await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().contains("'force'"));
    let (status, body) =
        service.ask("DELETE", "/v2/apps/a/tasks?scale=true&wipe=true", Value::Null).await;
    assert_eq!((status, body["message"].as_str().unwrap().contains("wipe")), (400, true));
    let (status, _) = service.ask("GET", "/v2/apps?label=%3D", Value::Null).await;
    assert_eq!(status, 422);
    let (status, _, _) = service.send("POST", "/v2/apps", " ".repeat(3_000_000)).await;
    assert_eq!(status, 413);
    assert_eq!(service.get("/v2/apps").await["apps"], json!([]), "none of it left a trace");
}

#[tokio::test]
async fn conflicts_are_told() {
    let service = service();
    service.ask("POST", "/v2/apps", json!({"id": "a", "cmd": "x", "mem": 1})).await;
    service.settled().await;
    let (status, body) = service.ask("POST", "/v2/apps", json!({"id": "/a", "cmd": "x"})).await;
    assert_eq!((status, body), (409, json!({"message": "An app with id [/a] already exists."})));
}

#[tokio::test]
async fn other_methods_and_paths() {
    let service = service();
    for (method, path, allow) in [
        ("PATCH", "/v2/queue", "GET"),
        ("DELETE", "/v2/apps", "GET, POST, PUT, PATCH"),
        ("POST", "/v2/apps/a", "GET, PUT, PATCH, DELETE"),
        ("GET", "/v2/apps/a/restart", "POST"),
        ("PUT", "/v2/info", "GET"),
        ("DELETE", "/v2/leader", "GET"),
        ("GET", "/v2/tasks/delete", "POST"),
        ("GET", "/v2/apps/a/tasks/t", "DELETE"),
    ] {
        let (status, headers, text) = service.send(method, path, "").await;
        assert_eq!(status, 405, "{method} {path}");
        assert_eq!(headers["allow"], allow, "{method} {path}");
        assert_eq!(text, r#"{"message":"Method Not Allowed"}"#);
    }
    for path in ["/v2/groups", "/v2/pods", "/v2/events", "/v2/nothing", "/v2/queue/a"] {
        let (status, body) = service.ask("GET", path, Value::Null).await;
        assert_eq!((status, body), (404, json!({"message": "URI not found"})), "{path}");
    }
}

#[tokio::test]
async fn ping_info_leader_and_queue() {
    let service = service();
    let (status, headers, text) = service.send("GET", "/ping", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (200, "pong"));
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let (status, _, text) = service.send("HEAD", "/v2/info", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (200, ""));
    service.ask("POST", "/v2/apps", json!({"id": "/g/a", "cmd": "x", "cpus": 100})).await;
    let info = service.get("/v2/info").await;
    assert_eq!(info["name"], "marathon");
    assert_eq!(info["frameworkId"], "f-0000");
    assert_eq!(info["elected"], true);
    assert_eq!(info["marathon_config"]["mesos_role"], "*");
    assert_eq!(info["http_config"]["http_port"], 8080);
    assert_eq!(service.get("/v2/leader").await, json!({"leader": "here:8080"}));
    let mut queue = Value::Null;
    for _ in 0..1000 {
        queue = service.get("/v2/queue?embed=lastUnusedOffers").await["queue"].take();
        if queue[0]["lastUnusedOffers"].as_array().is_some_and(|offers| !offers.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(queue[0]["lastUnusedOffers"][0]["reason"], json!(["InsufficientCpus"]));
    let (status, _, text) = service.send("DELETE", "/v2/queue/g/a/delay", "").await;
    assert_eq!((status.as_u16(), text.as_str()), (204, ""));
    let (status, body) = service.ask("DELETE", "/v2/queue/b/delay", Value::Null).await;
    assert_eq!(
        (status, body),
        (404, json!({"message": "Application /b not found in tasks queue."}))
    );
}

#[tokio::test]
async fn the_load_balancers_table() {
    let service = service();
    service.ask("POST", "/v2/apps", json!({"id": "a", "cmd": "x", "mem": 1})).await;
    service.settled().await;
    for path in ["/v2/tasks", "/v2/apps/a/tasks"] {
        let request =
            Request::get(path).header("accept", "text/plain").body(Body::empty()).unwrap();
        let response = service.router.clone().oneshot(request).await.unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.starts_with("a\t10000\ta1.example:31"), "{text}");
    }
}
