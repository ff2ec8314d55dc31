//! An instance whose health check fails is replaced.

use std::fs;

use muster_harness::ready;
use serde_json::json;

use crate::support::{WITHIN, await_up, cluster, stop};

#[test]
fn t60_an_instance_that_fails_its_http_check_is_replaced() {
    let Some(mut cluster) = cluster("t60", 1) else { return };
    let app = json!({
        "id": "/web",
        "cpus": 0.1,
        "mem": 32,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": "cd \"$MESOS_SANDBOX\" && echo fine > health && exec httpd -f -p \"$PORT0\"",
        "portDefinitions": [{ "port": 0, "protocol": "tcp" }],
        "healthChecks": [
            { "protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0, "delaySeconds": 0,
              "intervalSeconds": 1, "timeoutSeconds": 5, "gracePeriodSeconds": 30,
              "maxConsecutiveFailures": 2 }
        ]
    });
    cluster.marathon().create(&app).unwrap();
    let sick = await_up(&mut cluster, "/web", 1).remove(0);

    let sandboxes = cluster.sandboxes().unwrap();
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.task == sick.id).unwrap();
    fs::remove_file(sandbox.path.join("health")).unwrap();
    cluster
        .wait_for("the sick instance to be gone", WITHIN, |cluster| {
            let tasks = cluster.marathon().tasks("/web")?;
            ready(tasks.iter().all(|task| task.id != sick.id), || format!("{tasks:?}"))
        })
        .unwrap();
    let well = await_up(&mut cluster, "/web", 1).remove(0);
    assert_ne!(well.id, sick.id);
    let failure = cluster.marathon().app("/web").unwrap()["lastTaskFailure"].clone();
    assert_eq!(failure["taskId"], json!(sick.id), "{failure}");
    stop(cluster);
}

#[test]
fn t61_an_instance_that_ends_is_started_again_with_growing_pauses() {
    let Some(mut cluster) = cluster("t61", 1) else { return };
    let app = json!({
        "id": "/short",
        "cpus": 0.1,
        "mem": 32,
        "container": { "type": "MESOS", "docker": { "image": "busybox" } },
        "cmd": "exit 3",
        "backoffSeconds": 1,
        "backoffFactor": 2.0,
    });
    cluster.marathon().create(&app).unwrap();
    cluster
        .wait_for("the launch queue to hold the instance back", WITHIN, |cluster| {
            let queue = cluster.marathon().get("/v2/queue")?;
            let entry = queue["queue"].as_array().and_then(|all| all.first()).cloned();
            let left = entry.as_ref().and_then(|entry| entry["delay"]["timeLeftSeconds"].as_f64());
            // Above the first pause of 1 s: it has grown.
            ready(left.is_some_and(|left| left > 1.0), || format!("{queue}"))
        })
        .unwrap();
    let failure = cluster.marathon().app("/short").unwrap()["lastTaskFailure"].clone();
    assert_eq!(failure["state"], "TASK_FAILED", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains('3'), "{failure}");
    stop(cluster);
}
