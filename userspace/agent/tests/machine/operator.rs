//! The v1 operator API.

use muster_api::mesos::TaskState;
use muster_api::mesos::agent::{Call, Response, call, response};
use muster_api::{Encoding, wire};
use serde_json::{Value, json};

use super::http::{get, post, post_bytes};
use super::master::Master;
use super::site::{Site, on_site};
use super::tasks::{shell, sleeper};

const JSON: &str = "application/json";

async fn ask(site: &Site, call: Value) -> Value {
    let answer = post(&site.url("/api/v1"), JSON, call.to_string()).await.json();
    assert_eq!(answer["type"], call["type"]);
    answer
}

#[test]
fn the_state_is_told_in_both_encodings() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let running = peer.run(sleeper("t")).await;
        let id = running.container_status.unwrap().container_id.unwrap().value;
        peer.launch(shell("past", "true"));
        peer.end().await;
        peer.settle().await;

        let health = ask(site, json!({"type": "GET_HEALTH"})).await;
        assert_eq!(health["get_health"]["healthy"], true);
        let flags = ask(site, json!({"type": "GET_FLAGS"})).await;
        let flags = flags["get_flags"]["flags"].as_array().unwrap();
        assert!(flags.contains(&json!({"name": "name", "value": site.name()})), "{flags:?}");
        let version = get(&site.url("/version")).await.json()["version"].clone();
        let told = ask(site, json!({"type": "GET_VERSION"})).await;
        assert_eq!(told["get_version"]["version_info"]["version"], version);
        let metrics = ask(site, json!({"type": "GET_METRICS", "get_metrics": {}})).await;
        let metrics = metrics["get_metrics"]["metrics"].as_array().unwrap();
        assert!(metrics.contains(&json!({"name": "slave/tasks_running", "value": 1.0})));
        let agent = ask(site, json!({"type": "GET_AGENT"})).await;
        assert_eq!(agent["get_agent"]["agent_info"]["id"]["value"], "m-S0");

        let state = ask(site, json!({"type": "GET_STATE"})).await["get_state"].clone();
        let tasks = ask(site, json!({"type": "GET_TASKS"})).await["get_tasks"].clone();
        assert_eq!(state["get_tasks"], tasks);
        let ids = |list: &Value| -> Vec<Value> {
            let list = list.as_array().into_iter().flatten();
            list.map(|task| task["task_id"]["value"].clone()).collect()
        };
        assert_eq!(ids(&tasks["launched_tasks"]), ["t"]);
        assert_eq!(ids(&tasks["completed_tasks"]), ["past"]);
        assert_eq!(tasks["launched_tasks"][0]["state"], "TASK_RUNNING");
        let executors = ask(site, json!({"type": "GET_EXECUTORS"})).await;
        assert_eq!(state["get_executors"], executors["get_executors"]);
        let executor = &executors["get_executors"]["executors"][0]["executor_info"];
        assert_eq!(executor["executor_id"]["value"], "t");
        let frameworks = ask(site, json!({"type": "GET_FRAMEWORKS"})).await;
        let framework = &frameworks["get_frameworks"]["frameworks"][0]["framework_info"];
        let expected = json!({
            "id": {"value": "f"}, "name": "frame", "user": "someone", "roles": ["r"],
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&framework[field], value, "{framework}");
        }
        assert_eq!(tasks["launched_tasks"][0]["user"], "someone");
        let shown = get(&site.url("/state")).await.json()["frameworks"][0].clone();
        for field in ["name", "user", "roles"] {
            assert_eq!(shown[field], expected[field], "{shown}");
        }
        // It is still known after a restart.
        site.written().await;
        site.kill();
        site.start();
        let (_peer, _) = master.register().await;
        let again = ask(site, json!({"type": "GET_FRAMEWORKS"})).await;
        let framework = &again["get_frameworks"]["frameworks"][0]["framework_info"];
        assert_eq!(framework["name"], "frame");

        let containers = ask(site, json!({"type": "GET_CONTAINERS"})).await;
        let container = &containers["get_containers"]["containers"][0];
        assert_eq!(container["container_id"], json!({"value": id}));
        let statistics = &container["resource_statistics"];
        assert!(statistics["mem_rss_bytes"].as_u64().unwrap() > 0, "{container}");
        assert!(container["container_status"]["executor_pid"].as_u64().unwrap() > 0);

        // The same as protobuf.
        let call = Call { r#type: Some(call::Type::GetTasks.into()), ..Call::default() };
        let body = wire::encode(&call).unwrap();
        let (status, body) =
            post_bytes(&site.url("/api/v1"), Encoding::Protobuf.media_type(), body).await;
        assert_eq!(status.as_u16(), 200);
        let response: Response = wire::decode(&body).unwrap();
        assert_eq!(response.r#type(), response::Type::GetTasks);
        let tasks = response.get_tasks.unwrap();
        assert_eq!(tasks.launched_tasks[0].state(), TaskState::TaskRunning);
    });
}

#[test]
fn what_is_no_call_is_refused() {
    on_site(async |site| {
        site.start();
        let mut master = Master::start(site.master());
        let (_peer, _) = master.register().await;
        let url = site.url("/api/v1");
        for (content, body, status, problem) in [
            ("text/plain", json!({"type": "GET_STATE"}), 415, "Content-Type \"text/plain\""),
            (JSON, json!([]), 400, "object"),
            (JSON, json!({}), 400, "type is not set"),
            (JSON, json!({"type": "GET_EVERYTHING"}), 400, "type is not set"),
            (JSON, json!({"type": "GET_METRICS"}), 400, "get_metrics is not set"),
            (
                JSON,
                json!({"type": "GET_RESOURCE_PROVIDERS"}),
                501,
                "cannot do GET_RESOURCE_PROVIDERS",
            ),
        ] {
            let answer = post(&url, content, body.to_string()).await;
            assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
            assert!(answer.body.contains(problem), "{body}: {}", answer.body);
        }
        assert_eq!(get(&url).await.status.as_u16(), 405);
    });
}
