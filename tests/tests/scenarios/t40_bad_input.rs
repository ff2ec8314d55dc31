//! What can not be accepted is refused by name, and the rest goes on.

use muster_harness::ready;
use serde_json::{Value, json};

use crate::support::{WITHIN, await_up, cluster, live_tasks, sleeper, stop};

/// Method, path, body, the statuses that are right, and what the answer must speak of.
type Case = (&'static str, &'static str, &'static str, &'static [u16], &'static str);

const BAD_JSON: &[u16] = &[400];
const BAD: &[u16] = &[400, 422];

const CASES: &[Case] = &[
    // Not JSON at all, at every endpoint that takes a body.
    ("POST", "/v2/apps", "{", BAD_JSON, "line 1"),
    ("POST", "/v2/apps", "", BAD_JSON, "JSON"),
    ("PUT", "/v2/apps", "[", BAD_JSON, "line 1"),
    ("PUT", "/v2/apps/good", "nonsense", BAD_JSON, "line 1"),
    ("PATCH", "/v2/apps/good", "{]", BAD_JSON, "line 1"),
    ("POST", "/v2/tasks/delete", "{", BAD_JSON, "line 1"),
    // JSON of another shape.
    ("POST", "/v2/apps", "[1]", BAD, "/"),
    ("POST", "/v2/apps", "\"app\"", BAD, "/"),
    ("POST", "/v2/tasks/delete", r#"{"ids": 1}"#, BAD, "/ids"),
    ("POST", "/v2/tasks/delete", "{}", BAD, "/ids"),
    // Fields that nobody knows.
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","cpu":1}"#, BAD, "/cpu"),
    ("PUT", "/v2/apps/good", r#"{"instancse":2}"#, BAD, "/instancse"),
    (
        "POST",
        "/v2/apps",
        r#"{"id":"/x","container":{"type":"MESOS","docker":{"imgae":"nginx"}}}"#,
        BAD,
        "/container/docker/imgae",
    ),
    // Values that can not be.
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","cpus":-1}"#, BAD, "/cpus"),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","mem":"lots"}"#, BAD, "/mem"),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","instances":-1}"#, BAD, "/instances"),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","instances":1.5}"#, BAD, "/instances"),
    ("POST", "/v2/apps", r#"{"id":"/Not An Id","cmd":"true"}"#, BAD, "/id"),
    ("POST", "/v2/apps", r#"{"id":"/x"}"#, BAD, "cmd"),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","args":["a"]}"#, BAD, "args"),
    (
        "POST",
        "/v2/apps",
        r#"{"id":"/x","cmd":"true","portDefinitions":[{"port":70000}]}"#,
        BAD,
        "/portDefinitions(0)/port",
    ),
    (
        "POST",
        "/v2/apps",
        r#"{"id":"/x","cmd":"true","healthChecks":[{"protocol":"SMOKE"}]}"#,
        BAD,
        "/healthChecks(0)/protocol",
    ),
    (
        "POST",
        "/v2/apps",
        r#"{"id":"/x","cmd":"true","constraints":[["hostname","SOMEWHERE"]]}"#,
        BAD,
        "/constraints(0)",
    ),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","backoffFactor":0.5}"#, BAD, "/backoffFactor"),
    ("PUT", "/v2/apps/good", r#"{"instances":"two"}"#, BAD, "/instances"),
    (
        "POST",
        "/v2/apps",
        r#"{"id":"/x","cmd":"true","fetch":[{"uri":"http://a/b","destPath":"../b"}]}"#,
        BAD,
        "/fetch(0)/destPath",
    ),
    // Fields of Marathon's that are not supported yet: refused, not ignored.
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","gpus":1}"#, BAD, "/gpus"),
    ("POST", "/v2/apps", r#"{"id":"/x","cmd":"true","dependencies":["/y"]}"#, BAD, "/dependencies"),
    // Things that are not there.
    ("GET", "/v2/apps/none", "", &[404], "/none"),
    ("DELETE", "/v2/apps/none", "", &[404], "/none"),
    ("GET", "/v2/apps/none/tasks", "", &[404], "/none"),
    ("POST", "/v2/apps/none/restart", "", &[404], "/none"),
    ("DELETE", "/v2/deployments/none", "", &[404], "none"),
    ("GET", "/v2/nonsense", "", &[404], "not found"),
    ("POST", "/v2/apps", r#"{"id":"/good","cmd":"true"}"#, &[409], "/good"),
    ("DELETE", "/v2/info", "", &[405], "Method"),
    ("PUT", "/v2/apps/good?force=perhaps", r#"{"instances":2}"#, BAD, "force"),
];

#[test]
fn t40_bad_requests_are_refused_by_the_path_of_the_field() {
    let Some(mut cluster) = cluster("t40", 1) else { return };
    cluster.marathon().create(&sleeper("/good", 1)).unwrap();
    let good = await_up(&mut cluster, "/good", 1);
    let mut wrong = Vec::new();
    for (method, path, body, statuses, needle) in CASES {
        let body = (!body.is_empty() || *method != "GET").then_some(*body);
        let answer = cluster.marathon().send(method, path, body).unwrap();
        let fits = statuses.contains(&answer.status) && answer.body.contains(needle);
        let is_json =
            serde_json::from_str::<Value>(&answer.body).is_ok_and(|answer| answer.is_object());
        if !fits || !is_json {
            wrong.push(format!(
                "{method} {path} {}: {} {}",
                body.unwrap_or_default(),
                answer.status,
                answer.body
            ));
        }
    }
    assert!(wrong.is_empty(), "answered wrongly:\n{}", wrong.join("\n"));

    let address = cluster.master_address();
    let limit =
        cluster.master().http().get(&format!("http://{address}:5050/tasks?limit=few")).unwrap();
    assert_eq!(limit.status, 400, "{limit:?}");
    assert!(limit.body.contains("limit"), "{limit:?}");
    for (path, error) in
        [("/vip/nonsense", "invalid_vip"), ("/backend/1.2.3.4:1", "invalid_backend")]
    {
        assert_eq!(cluster.vip_get(0, path).unwrap()["error"], error, "{path}");
    }

    // The rest goes on: one application, the same task, and new ones are taken.
    assert_eq!(await_up(&mut cluster, "/good", 1), good);
    assert_eq!(live_tasks(&cluster).unwrap().len(), 1);
    cluster.marathon().create(&sleeper("/more", 1)).unwrap();
    await_up(&mut cluster, "/more", 1);
    stop(cluster);
}

/// Posts `app`, and waits until its last failure or its entry in the queue speaks of `needle`.
fn await_complaint(cluster: &mut muster_harness::Cluster, app: &Value, needle: &str) {
    let id = app["id"].as_str().unwrap().to_owned();
    cluster.marathon().create(app).unwrap();
    cluster
        .wait_for(&format!("{id} to complain of {needle:?}"), WITHIN, |cluster| {
            let state = cluster.marathon().app(&id)?;
            let queue = cluster.marathon().get("/v2/queue?embed=lastUnusedOffers")?;
            let seen = format!("{} {queue}", state["lastTaskFailure"]);
            ready(seen.contains(needle), || seen.clone())
        })
        .unwrap();
    cluster.marathon().delete(&id).unwrap();
}

#[test]
fn t40_tasks_that_can_not_run_say_why() {
    let Some(mut cluster) = cluster("t40b", 1) else { return };
    cluster.marathon().create(&sleeper("/good", 1)).unwrap();
    let good = await_up(&mut cluster, "/good", 1);

    let mut no_image = sleeper("/no-image", 1);
    no_image["container"]["docker"]["image"] = json!("no-such-image");
    await_complaint(&mut cluster, &no_image, "no-such-image");

    let no_command = json!({
        "id": "/no-command", "cpus": 0.1, "mem": 32, "args": ["/no/such/command"],
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
    });
    await_complaint(&mut cluster, &no_command, "/no/such/command");

    let mut too_big = sleeper("/too-big", 1);
    too_big["cpus"] = json!(64);
    await_complaint(&mut cluster, &too_big, "InsufficientCpus");

    let mut first = sleeper("/port", 1);
    first["portDefinitions"] = json!([{ "port": 31500 }]);
    first["requirePorts"] = json!(true);
    cluster.marathon().create(&first).unwrap();
    await_up(&mut cluster, "/port", 1);
    first["id"] = json!("/same-port");
    await_complaint(&mut cluster, &first, "InsufficientPorts");

    let hungry = json!({
        "id": "/hungry", "cpus": 0.1, "mem": 32,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": "tail /dev/zero",
    });
    await_complaint(&mut cluster, &hungry, "emory");

    assert_eq!(await_up(&mut cluster, "/good", 1), good);
    stop(cluster);
}
