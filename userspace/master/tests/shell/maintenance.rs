//! `/maintenance`, `/machine` and their calls.

use axum::http::StatusCode;
use serde_json::json;

use crate::rig::*;

#[tokio::test]
async fn a_machine_goes_down_and_up() {
    let rig = Rig::start().await;
    let agent = rig.agent().await;
    assert_eq!(rig.get("/maintenance/schedule").await, (StatusCode::OK, json!({})));
    let machine = json!({ "hostname": "one", "ip": "127.0.0.1" });
    let schedule = json!({ "windows": [{
        "machine_ids": [machine],
        "unavailability": {
            "start": { "nanoseconds": 1_443_830_400_000_000_000_i64 },
            "duration": { "nanoseconds": 3_600_000_000_000_i64 },
        },
    }] });
    let post = |path: &'static str, body: serde_json::Value| {
        let rig = &rig;
        async move { rig.ask("POST", path, &body.to_string()).await }
    };
    assert_eq!(post("/maintenance/schedule", schedule.clone()).await.0, StatusCode::OK);
    assert_eq!(rig.get("/master/maintenance/schedule").await.1, schedule);
    let draining = json!({ "draining_machines": [{ "id": machine }] });
    assert_eq!(rig.get("/maintenance/status").await.1, draining);
    for body in [json!([]), json!({}), json!([{}]), json!([{ "hostname": "two" }])] {
        assert_eq!(post("/machine/down", body).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(post("/machine/up", json!([machine])).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post("/machine/down", json!([machine])).await.0, StatusCode::OK);
    let down = json!({ "down_machines": [machine] });
    assert_eq!(rig.get("/maintenance/status").await.1, down);
    assert_eq!(rig.get("/slaves").await.1["slaves"], json!([]));
    drop(agent);

    let rig = rig.killed().await;
    let (status, answer) = rig.call(json!({ "type": "GET_MAINTENANCE_STATUS" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["get_maintenance_status"], json!({ "status": down }));
    let up = json!({ "type": "STOP_MAINTENANCE", "stop_maintenance": { "machines": [machine] } });
    assert_eq!(rig.call(up.clone()).await.0, StatusCode::OK);
    assert_eq!(rig.call(up).await.0, StatusCode::BAD_REQUEST);
    let _agent = rig.agent().await;
    let update = json!({
        "type": "UPDATE_MAINTENANCE_SCHEDULE",
        "update_maintenance_schedule": { "schedule": schedule },
    });
    assert_eq!(rig.call(update).await.0, StatusCode::OK);
    let (_, answer) = rig.call(json!({ "type": "GET_MAINTENANCE_SCHEDULE" })).await;
    assert_eq!(answer["get_maintenance_schedule"], json!({ "schedule": schedule }));
    let start =
        json!({ "type": "START_MAINTENANCE", "start_maintenance": { "machines": [machine] } });
    assert_eq!(rig.call(start).await.0, StatusCode::OK);
    assert_eq!(rig.killed().await.get("/maintenance/status").await.1, down);
}
