//! `/weights` and its calls: the statuses of Mesos' `DynamicWeightsTest`.

use axum::http::StatusCode;
use serde_json::json;

use crate::rig::*;

#[tokio::test]
async fn what_is_no_list_of_weights_is_refused() {
    let rig = Rig::start().await;
    for (body, wanted) in [
        ("[{\"weight\":3.2,\"role\"}]", "a JSON array"),
        ("weights=[{\"weight\":2.0}]", "a JSON array"),
        ("{\"weight\":3.2,\"role\":\"role1\"}", "a JSON array"),
        ("[{\"weight\":3.2,\"invalidField\":\"role1\"}]", "weight_infos[0].role is not set"),
        ("[{\"weight\":2.0,\"role\":\" \"}]", "weight_infos[0].role is not set"),
        ("[{\"weight\":0,\"role\":\"role1\"}]", "weight_infos[0].weight: 0 is not a number above"),
        ("[{\"weight\":-2.0,\"role\":\"role1\"}]", "weight_infos[0].weight: -2 is not"),
        ("[{\"weight\":\"two\",\"role\":\"role1\"}]", "field [0].weight: a number is wanted"),
        ("[{\"role\":\"role1\"}]", "field [0].weight is required"),
    ] {
        let (status, problem) = rig.ask("PUT", "/weights", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problem.as_str().unwrap().contains(wanted), "{problem}");
    }
    assert_eq!(rig.get("/weights").await, (StatusCode::OK, json!([])));
}

#[tokio::test]
async fn an_answered_weight_survives_the_master() {
    let rig = Rig::start().await;
    let body = r#"[{"role":"role1","weight":2.0},{"role":"a/b","weight":"0.5"}]"#;
    let (status, answer) = rig.ask("PUT", "/master/weights", body).await;
    assert_eq!((status, answer), (StatusCode::OK, json!("")));
    let wanted = json!([{ "weight": 0.5, "role": "a/b" }, { "weight": 2.0, "role": "role1" }]);
    assert_eq!(rig.get("/weights").await.1, wanted);
    let call = json!({
        "type": "UPDATE_WEIGHTS",
        "update_weights": { "weight_infos": [{ "role": "role2", "weight": 4 }] },
    });
    assert_eq!(rig.call(call).await, (StatusCode::OK, json!("")));
    let rig = rig.killed().await;
    let (status, answer) = rig.call(json!({ "type": "GET_WEIGHTS" })).await;
    assert_eq!(status, StatusCode::OK);
    let wanted = json!({
        "type": "GET_WEIGHTS",
        "get_weights": { "weight_infos": [
            { "weight": 0.5, "role": "a/b" },
            { "weight": 2.0, "role": "role1" },
            { "weight": 4.0, "role": "role2" },
        ] },
    });
    assert_eq!(answer, wanted);
}

#[tokio::test]
async fn unknown_role() {
    let rig = Rig::with(|options| options.roles = Some(["role1".to_owned()].into())).await;
    let (status, problem) =
        rig.ask("PUT", "/weights", r#"[{"role":"unknown","weight":3.0}]"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem.as_str().unwrap().contains("--roles"), "{problem}");
}
