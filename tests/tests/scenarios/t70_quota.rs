//! A weight and a limit outlive the master that they were told, and are kept to.

use muster_harness::{Cluster, Error, ready};
use serde_json::{Value, json};

use crate::support::{WITHIN, await_gone, await_up, cluster, sleeper, stop};

/// What two sleepers use.
const LIMIT: f64 = 0.1;

/// The call that limits the services' role.
fn quota(limits: &Value) -> String {
    json!({
        "type": "UPDATE_QUOTA",
        "update_quota": { "quota_configs": [{ "role": "*", "limits": limits }] },
    })
    .to_string()
}

/// Whether the role has the weight and the limit, and uses so much of it.
fn has_policy(cluster: &Cluster, consumed: Option<f64>) -> Result<(), Error> {
    let answer = cluster.master_get("/roles")?;
    let roles = answer["roles"].as_array().into_iter().flatten();
    let has = roles.into_iter().any(|role| {
        role["name"] == "*"
            && role["weight"] == 2.5
            && role["quota"]["limit"] == json!({ "cpus": LIMIT })
            && role["quota"]["consumed"]["cpus"] == json!(consumed)
    });
    ready(has, || answer.to_string())
}

/// Waits until two instances run, and many allocations have brought no third one.
fn await_two(cluster: &mut Cluster) {
    let running = |cluster: &Cluster| -> Result<u64, Error> {
        let app = cluster.marathon().app("/sleeper")?;
        Ok(app["tasksRunning"].as_u64().unwrap_or_default())
    };
    cluster
        .wait_for("two instances to run", WITHIN, |cluster| {
            let count = running(cluster)?;
            ready(count == 2, || format!("{count} run"))?;
            has_policy(cluster, Some(LIMIT))
        })
        .unwrap();
    let runs = |cluster: &Cluster| -> Result<f64, Error> {
        let metrics = cluster.master_get("/metrics/snapshot")?;
        Ok(metrics["allocator/mesos/allocation_runs"].as_f64().unwrap_or_default())
    };
    let before = runs(cluster).unwrap();
    cluster
        .wait_for("allocations to pass", WITHIN, |cluster| {
            let now = runs(cluster)?;
            ready(now >= before + 5.0, || format!("{now} after {before}"))
        })
        .unwrap();
    assert_eq!(running(cluster).unwrap(), 2);
}

#[test]
fn t70_weight_and_quota_outlive_the_master() {
    let Some(mut cluster) = cluster("t70", 1) else { return };
    let weights = json!([{ "role": "*", "weight": 2.5 }]).to_string();
    cluster.master_send("PUT", "/weights", &weights).unwrap().success().unwrap();
    let limit = quota(&json!({ "cpus": { "value": LIMIT } }));
    cluster.master_send("POST", "/api/v1", &limit).unwrap().success().unwrap();
    cluster.master().daemon().kill().unwrap();
    cluster.start_master().unwrap();
    has_policy(&cluster, None).unwrap();

    cluster.marathon().create(&sleeper("/sleeper", 3)).unwrap();
    await_two(&mut cluster);
    // With tasks that use all that is allowed, too.
    cluster.master().daemon().kill().unwrap();
    cluster.start_master().unwrap();
    cluster.await_agents().unwrap();
    await_two(&mut cluster);

    let none = quota(&json!({}));
    cluster.master_send("POST", "/api/v1", &none).unwrap().success().unwrap();
    await_up(&mut cluster, "/sleeper", 3);
    cluster.marathon().delete("/sleeper").unwrap();
    await_gone(&mut cluster, "/sleeper");
    stop(cluster);
}
