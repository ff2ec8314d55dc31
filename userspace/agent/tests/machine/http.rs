//! The agent's HTTP interface.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use muster_api::mesos::TaskState;
use serde_json::{Value, json};

use super::master::Master;
use super::site::{in_time, on_site};
use super::tasks::{shell, sleeper};

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn get(url: &str) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url: hyper::Uri = url.parse().unwrap();
    let answer = in_time("an answer", client.get(url)).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Answer { status, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub(crate) async fn post(url: &str, content: &str, body: String) -> Answer {
    let request = hyper::Request::post(url).header("content-type", content);
    let (status, body) = send(request.body(Full::from(body)).unwrap()).await;
    Answer { status, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// Without a body, by any method.
pub(crate) async fn request(method: &str, url: &str) -> Answer {
    let request = hyper::Request::builder().method(method).uri(url);
    let (status, body) = send(request.body(Full::default()).unwrap()).await;
    Answer { status, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// The same, with what is no text, and asks for an answer of the same type.
pub(crate) async fn post_bytes(url: &str, content: &str, body: Vec<u8>) -> (StatusCode, Bytes) {
    let request = hyper::Request::post(url).header("content-type", content);
    send(request.header("accept", content).body(Full::from(body)).unwrap()).await
}

async fn send(request: hyper::Request<Full<Bytes>>) -> (StatusCode, Bytes) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let answer = in_time("an answer", client.request(request)).await.unwrap();
    let status = answer.status();
    (status, answer.into_body().collect().await.unwrap().to_bytes())
}

#[test]
fn state_and_statistics_are_those_of_the_machine() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let running = peer.run(sleeper("t")).await;
        let id = running.container_status.unwrap().container_id.unwrap().value;
        peer.launch(shell("past", "true"));
        peer.end().await;
        peer.settle().await;

        assert_eq!(get(&site.url("/health")).await.status, StatusCode::OK);
        assert!(get(&site.url("/version")).await.json()["version"].is_string());
        let state = get(&site.url("/state")).await.json();
        assert_eq!(state["id"], "m-S0");
        assert_eq!(state["hostname"], site.name());
        assert_eq!(state["attributes"], json!({"rack": "r1"}));
        assert_eq!(state["resources"]["cpus"], 4.0);
        assert_eq!(state["resources"]["ports"], "[31000-32000]");
        assert_eq!(state["flags"]["name"], site.name());
        let executor = &state["frameworks"][0]["executors"][0];
        assert_eq!(executor["container"], id.as_str());
        assert_eq!(executor["tasks"][0]["state"], "TASK_RUNNING");
        assert_eq!(executor["tasks"][0]["statuses"].as_array().unwrap().len(), 2);
        let directory = executor["directory"].as_str().unwrap();
        assert!(std::fs::exists(format!("{directory}/stdout")).unwrap(), "{directory}");
        let past = &state["frameworks"][0]["completed_executors"][0]["completed_tasks"][0];
        assert_eq!(past["state"], "TASK_FINISHED");
        for path in ["/slave(1)/state", "/state.json"] {
            assert_eq!(get(&site.url(path)).await.json()["id"], "m-S0");
        }

        let statistics = get(&site.url("/monitor/statistics")).await.json();
        let [of_task] = &statistics.as_array().unwrap()[..] else { panic!("{statistics}") };
        assert_eq!(of_task["executor_id"], "t");
        assert_eq!(of_task["statistics"]["mem_limit_bytes"], 32 << 20);
        assert!(of_task["statistics"]["mem_total_bytes"].as_f64().unwrap() > 0.0);
        let containers = get(&site.url("/containers")).await.json();
        assert_eq!(containers[0]["container_id"], id.as_str());
        assert_eq!(containers[0]["status"]["container_id"]["value"], id.as_str());
        let other = get(&site.url("/containers?container_id=other")).await.json();
        assert_eq!(other, json!([]));
        let wrong = get(&site.url("/containers?what=x")).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
        assert!(wrong.body.contains("what"), "{}", wrong.body);

        let metrics = get(&site.url("/metrics/snapshot")).await.json();
        assert_eq!(metrics["slave/registered"], 1);
        assert_eq!(metrics["slave/tasks_running"], 1);
        assert_eq!(metrics["slave/tasks_finished"], 1);
        assert_eq!(metrics["slave/cpus_used"], 0.1);
        assert!(metrics["system/mem_total_bytes"].as_u64().unwrap() > 1 << 20);

        // CPU time is counted as it passes.
        let used = async || {
            let shown = get(&site.url("/monitor/statistics")).await.json();
            let statistics = &shown[0]["statistics"];
            let time = |name: &str| statistics[name].as_f64().unwrap();
            time("cpus_user_time_secs") + time("cpus_system_time_secs")
        };
        let before = used().await;
        in_time("CPU time passes", async {
            while used().await <= before {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        peer.kill("t", None);
        peer.expect(TaskState::TaskKilled).await;
    });
}

#[test]
fn sandboxes_can_be_looked_into() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(shell("t", "echo hello; ln -s /etc/passwd link; touch done; sleep 1000")).await;
        super::site::eventually("the task has printed", || site.sandbox("t").join("done").exists())
            .await;
        let state = get(&site.url("/state")).await.json();
        let executor = &state["frameworks"][0]["executors"][0];
        let directory = executor["directory"].as_str().unwrap().to_owned();
        let framework = state["frameworks"][0]["id"].as_str().unwrap();
        let latest = format!("/frameworks/{framework}/executors/t/runs/latest");
        let url = |what: &str, rest: &str| site.url(&format!("/files/{what}?path={rest}"));

        for top in [&directory, &latest] {
            let listed = get(&url("browse", top)).await.json();
            let paths: Vec<_> =
                listed.as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
            let expected = ["done", "link", "stderr", "stdout"].map(|name| format!("{top}/{name}"));
            assert_eq!(paths, expected);
            let size = get(&url("read", &format!("{top}/stdout"))).await.json();
            assert_eq!((&size["offset"], &size["data"]), (&json!(6), &json!("")));
            let part = get(&url("read", &format!("{top}/stdout&offset=1&length=3"))).await.json();
            assert_eq!((&part["offset"], &part["data"]), (&json!(1), &json!("ell")));
            let whole = get(&url("download", &format!("{top}/stdout"))).await;
            assert_eq!((whole.status, whole.body.as_str()), (StatusCode::OK, "hello\n"));
        }
        assert_eq!(get(&site.url("/files/debug")).await.json()[&latest], directory.as_str());
        for (path, status) in [
            (format!("read?path={directory}/link&offset=0"), StatusCode::NOT_FOUND),
            (format!("download?path={directory}/../../../../../.."), StatusCode::NOT_FOUND),
            ("read?path=/etc/passwd".to_owned(), StatusCode::NOT_FOUND),
            ("browse".to_owned(), StatusCode::BAD_REQUEST),
            (format!("read?path={directory}"), StatusCode::BAD_REQUEST),
            (format!("read?path={directory}/stdout&offset=-2"), StatusCode::BAD_REQUEST),
            (format!("browse?path={directory}/stdout"), StatusCode::BAD_REQUEST),
        ] {
            let answer = get(&site.url(&format!("/files/{path}"))).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
        let served = get(&site.url("/slave(1)/monitor/statistics.json")).await.json();
        assert_eq!(served[0]["executor_id"], "t");
        peer.kill("t", None);
        peer.expect(TaskState::TaskKilled).await;
        // It can be looked into for as long as the agent knows of the task.
        let part = get(&url("read", &format!("{latest}/stdout&offset=0"))).await.json();
        assert_eq!(part["data"], "hello\n");
    });
}
