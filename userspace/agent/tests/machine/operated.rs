//! Containers of operators.

use std::fs;
use std::path::PathBuf;

use muster_api::mesos::TaskState;
use serde_json::{Value, json};

use super::http::{Answer, post};
use super::master::Master;
use super::site::{Site, eventually, in_time, on_site};
use super::tasks::sleeper;

/// Makes a call.
pub(crate) async fn call(site: &Site, call: &Value) -> Answer {
    post(&site.url("/api/v1"), "application/json", call.to_string()).await
}

/// Makes a call, and sees how it went.
pub(crate) async fn expect(site: &Site, status: u16, call: &Value) -> String {
    let answer = self::call(site, call).await;
    assert_eq!(answer.status.as_u16(), status, "{call}: {}", answer.body);
    answer.body
}

/// How a container ended.
pub(crate) async fn wait(site: &Site, id: &Value) -> Value {
    let asked = json!({"type": "WAIT_CONTAINER", "wait_container": {"container_id": id}});
    let answer = in_time("the container ends", call(site, &asked)).await.json();
    assert_eq!(answer["type"], "WAIT_CONTAINER");
    answer["wait_container"].clone()
}

pub(crate) fn id(name: &str) -> Value {
    name.split('/').fold(Value::Null, |parent, value| match parent {
        Value::Null => json!({"value": value}),
        parent => json!({"value": value, "parent": parent}),
    })
}

pub(crate) fn launch(name: &str, line: &str) -> Value {
    let asked = json!({"container_id": id(name), "command": {"value": line}});
    json!({"type": "LAUNCH_CONTAINER", "launch_container": asked})
}

fn about(kind: &str, name: &str) -> Value {
    let mut call = json!({"type": kind});
    call[kind.to_lowercase()] = json!({"container_id": id(name)});
    call
}

/// The checkpoint of a container.
pub(crate) fn checkpoint(site: &Site, name: &str) -> PathBuf {
    site.path("run/containers").join(name.replace('/', "/containers/"))
}

/// What `GET_CONTAINERS` shows beside the containers of tasks.
async fn shown(site: &Site, name: &str) -> Option<Value> {
    let all = json!({"show_nested": true, "show_standalone": true});
    let all = json!({"type": "GET_CONTAINERS", "get_containers": all});
    let shown = call(site, &all).await.json();
    let containers = shown["get_containers"]["containers"].as_array().cloned().unwrap_or_default();
    containers.into_iter().find(|container| container["container_id"] == id(name))
}

#[test]
fn one_by_itself_outlives_the_agent_until_it_is_removed() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (_peer, _) = master.register().await;
        let line = "echo $$ >> starts; trap 'exit 7' TERM; while :; do sleep 0.05; done";
        let mut asked = launch("own", line);
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        asked["launch_container"]["resources"] = json!([scalar("cpus", 0.1), scalar("mem", 48.0)]);
        asked["launch_container"]["limits"] = json!({"mem": {"value": 64.0}});
        expect(site, 200, &asked).await;
        expect(site, 202, &asked).await;
        let sandbox = site.path("work/containers/own");
        eventually("it runs", || sandbox.join("starts").exists()).await;
        // One that cannot be launched by that name takes nothing away from it.
        let mut wrong = launch("own", line);
        let container = json!({"type": "MESOS", "hostname": "no name"});
        wrong["launch_container"]["container"] = container;
        expect(site, 400, &wrong).await;
        assert!(sandbox.join("starts").exists());
        let usage = shown(site, "own").await.unwrap()["resource_statistics"].clone();
        assert_eq!(usage["mem_soft_limit_bytes"], 48 << 20, "{usage}");
        assert_eq!(usage["mem_limit_bytes"], 64 << 20, "{usage}");
        // Nobody asked for it.
        let plain = call(site, &json!({"type": "GET_CONTAINERS"})).await.json();
        assert_eq!(plain["get_containers"].get("containers"), None, "{plain}");
        let removed = call(site, &about("REMOVE_CONTAINER", "own")).await;
        assert_eq!(removed.status.as_u16(), 500);
        assert!(removed.body.contains("has not terminated yet"), "{}", removed.body);

        site.kill();
        site.start();
        let (_peer, _) = master.register().await;
        let term = json!({"type": "KILL_CONTAINER", "kill_container": {
            "container_id": id("own"), "signal": 15,
        }});
        let own = id("own");
        let (ended, _) = tokio::join!(wait(site, &own), expect(site, 200, &term));
        assert_eq!(ended, json!({"exit_status": 7 << 8}));
        assert_eq!(fs::read_to_string(sandbox.join("starts")).unwrap().lines().count(), 1);
        expect(site, 404, &term).await;
        site.kill();
        site.start();
        let (_peer, _) = master.register().await;
        assert_eq!(wait(site, &id("own")).await, json!({"exit_status": 7 << 8}));
        assert!(sandbox.exists());
        expect(site, 200, &about("REMOVE_CONTAINER", "own")).await;
        assert!(!sandbox.exists() && !checkpoint(site, "own").exists());
        assert!(site.containers().is_empty());
        expect(site, 200, &about("REMOVE_CONTAINER", "own")).await;
        let gone = expect(site, 404, &about("WAIT_CONTAINER", "own")).await;
        assert_eq!(gone, "Container own cannot be found");
    });
}

#[test]
fn launches_with_one_id_at_one_moment_take_nothing_from_each_other() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (_peer, _) = master.register().await;
        let mut failing = launch("own", "");
        failing["launch_container"]["command"] = json!({"shell": false, "value": "/no/such"});
        let working = launch("own", "echo x > mine; exec sleep 1000");
        for round in 0..20 {
            let (one, other) = match round % 2 {
                0 => (&failing, &working),
                _ => (&working, &failing),
            };
            let calls = tokio::join!(call(site, one), call(site, other), call(site, &working));
            let calls = [calls.0, calls.1, calls.2].map(|answer| answer.status.as_u16());
            assert!(calls.iter().all(|status| [200, 202, 400].contains(status)), "{calls:?}");
            assert!(calls.iter().filter(|status| **status == 200).count() <= 1, "{calls:?}");
            // One that works came too late for one that fails, or is there with its sandbox.
            if calls.contains(&200) {
                let mine = site.path("work/containers/own/mine");
                eventually("it has its sandbox", || mine.exists()).await;
                let kill = about("KILL_CONTAINER", "own");
                let own = id("own");
                let (ended, _) = tokio::join!(wait(site, &own), expect(site, 200, &kill));
                assert_eq!(ended, json!({"exit_status": 9}));
                let remove = about("REMOVE_CONTAINER", "own");
                tokio::join!(expect(site, 200, &remove), expect(site, 200, &remove));
            }
            assert!(!site.path("work/containers/own").exists(), "{calls:?}");
        }
        assert!(site.containers().is_empty());
    });
}

#[test]
fn one_in_a_task_ends_with_it() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let running = peer.run(sleeper("t")).await;
        let task = running.container_status.unwrap().container_id.unwrap().value;
        let name = |id: &str| format!("{task}/{id}");
        let launch_in = |id: &str, line: &str| {
            json!({"type": "LAUNCH_NESTED_CONTAINER", "launch_nested_container": {
                "container_id": self::id(&name(id)), "command": {"value": line},
            }})
        };
        expect(site, 200, &launch_in("past", "echo $PPID; exit 3")).await;
        let asked = about("WAIT_NESTED_CONTAINER", &name("past"));
        let ended = call(site, &asked).await.json();
        assert_eq!(ended["wait_nested_container"], json!({"exit_status": 3 << 8}));
        expect(site, 200, &launch_in("runs", "exec sleep 1000")).await;
        assert!(shown(site, &name("runs")).await.is_some());

        site.written().await;
        site.kill();
        site.start();
        let (mut peer, register) = master.register().await;
        assert_eq!(register.tasks.len(), 1);
        let ended = call(site, &asked).await.json();
        assert_eq!(ended["wait_nested_container"], json!({"exit_status": 3 << 8}));
        expect(site, 200, &about("REMOVE_NESTED_CONTAINER", &name("past"))).await;
        expect(site, 404, &asked).await;
        assert!(!site.sandbox("t").join("containers/past").exists());
        // Those of the agent are not an operator's to remove.
        let refused = expect(site, 400, &about("REMOVE_CONTAINER", &task)).await;
        assert!(refused.contains("is that of a task or executor"), "{refused}");

        let runs = id(&name("runs"));
        let end = async {
            peer.kill("t", None);
            peer.expect(TaskState::TaskKilled).await
        };
        let (ended, _) = tokio::join!(wait(site, &runs), end);
        assert_eq!(ended, json!({"exit_status": 9}));
        eventually("nothing is left", || !checkpoint(site, &task).exists()).await;
        assert!(site.containers().is_empty());
        // It is forgotten a little later.
        in_time("its container is forgotten", async {
            while call(site, &launch_in("late", "true")).await.status.as_u16() != 404 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        let running = peer.run(sleeper("t")).await;
        let task = running.container_status.unwrap().container_id.unwrap().value;
        let with = |mut call: Value, field: &str, value: Value| {
            let kind = call["type"].as_str().unwrap().to_lowercase();
            call[kind][field] = value;
            call
        };
        let plain = || launch("c", "true");
        let kill = |signal: i32| with(about("KILL_CONTAINER", &task), "signal", json!(signal));
        let nested = with(plain(), "container_id", json!({"value": "n", "parent": id(&task)}));
        let limited = with(nested, "limits", json!({"mem": {"value": 64.0}}));
        let docker = json!({"type": "DOCKER", "docker": {"image": "x"}});
        for (call, status, problem) in [
            (json!({"type": "LAUNCH_CONTAINER"}), 400, "launch_container is not set"),
            (
                json!({"type": "LAUNCH_CONTAINER", "launch_container": {}}),
                400,
                "launch_container.container_id is required",
            ),
            (with(plain(), "container_id", json!({"value": "a/b"})), 400, "container_id.value"),
            (with(plain(), "command", json!({})), 400, "launch_container.command.value is missing"),
            (with(plain(), "container", docker), 400, "launch_container.container.type"),
            (limited, 400, "launch_container.limits goes only with"),
            (launch("nowhere/c", "true"), 404, "Container nowhere cannot be found"),
            (about("WAIT_CONTAINER", "nobody"), 404, "Container nobody cannot be found"),
            (about("WAIT_NESTED_CONTAINER", "c"), 400, "wait_nested_container.container_id.parent"),
            (about("KILL_NESTED_CONTAINER", "c"), 400, "container_id.parent is not set"),
            (about("KILL_CONTAINER", "nobody"), 404, "is already killed"),
            (kill(0), 400, "kill_container.signal: 0 is none of"),
            (kill(99), 400, "kill_container.signal: 99 is none of"),
            (json!({"type": "READ_FILE"}), 400, "read_file is not set"),
            (json!({"type": "SET_LOGGING_LEVEL"}), 400, "set_logging_level is not set"),
            (json!({"type": "ATTACH_CONTAINER_INPUT"}), 415, "application/recordio"),
            (json!({"type": "UNKNOWN"}), 501, "cannot do UNKNOWN"),
        ] {
            let body = expect(site, status, &call).await;
            assert!(body.contains(problem), "{call}: {body}");
        }
        // A launch that fails leaves nothing.
        let failed = with(plain(), "command", json!({"shell": false, "value": "/no/such"}));
        let body = expect(site, 400, &failed).await;
        assert!(body.contains("/no/such"), "{body}");
        assert!(!site.path("work/containers/c").exists() && !checkpoint(site, "c").exists());
        assert_eq!(site.containers(), [task]);
    });
}

#[test]
fn files_and_the_log() {
    on_site(async |site| {
        let mut master = Master::start(site.master());
        site.start();
        let (mut peer, _) = master.register().await;
        peer.run(sleeper("t")).await;
        let path = "/frameworks/f/executors/t/runs/latest";
        fs::write(site.sandbox("t").join("data"), b"\xff12345").unwrap();
        let listed = json!({"type": "LIST_FILES", "list_files": {"path": path}});
        let listed = call(site, &listed).await.json()["list_files"]["file_infos"].clone();
        let data =
            listed.as_array().unwrap().iter().find(|file| file["path"] == format!("{path}/data"));
        assert_eq!(data.unwrap()["size"], 6, "{listed}");
        let read = |path: String, offset: u64| json!({"type": "READ_FILE", "read_file": {"path": path, "offset": offset, "length": 2}});
        let part = call(site, &read(format!("{path}/data"), 0)).await.json();
        assert_eq!(part["read_file"], json!({"size": 6, "data": "/zE="}));
        let part = call(site, &read(format!("{path}/data"), 9)).await.json();
        assert_eq!(part["read_file"], json!({"size": 6, "data": ""}));
        expect(site, 404, &read(format!("{path}/nothing"), 0)).await;
        expect(site, 400, &read(path.to_owned(), 0)).await;

        let level = async |site: &Site| {
            let answer = call(site, &json!({"type": "GET_LOGGING_LEVEL"})).await.json();
            answer["get_logging_level"]["level"].clone()
        };
        let set = |level: u32, nanoseconds: i64| {
            json!({"type": "SET_LOGGING_LEVEL", "set_logging_level": {
                "level": level, "duration": {"nanoseconds": nanoseconds},
            }})
        };
        assert_eq!(level(site).await, 0);
        expect(site, 400, &set(4, 1)).await;
        expect(site, 400, &set(1, -1)).await;
        assert!(!site.log().contains("DEBUG"));
        expect(site, 200, &set(1, 3_600_000_000_000)).await;
        assert_eq!(level(site).await, 1);
        // What the agent says only then.
        peer.launch(sleeper("t"));
        eventually("more is logged", || site.log().contains("DEBUG")).await;
        expect(site, 200, &set(2, 1)).await;
        in_time("the level is as it was", async {
            while level(site).await != 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}
