//! A linked agent, a framework, and a disk that fails.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use muster_api::mesos::scheduler::event;
use muster_api::mesos::{TaskState, TaskStatus};
use muster_api::muster::{StatusUpdate, agent_message, master_message};
use tokio::time::timeout;

use crate::rig::*;

#[tokio::test]
async fn a_task_goes_from_a_framework_to_an_agent_and_its_news_back() {
    let rig = Rig::start().await;
    let (say, mut messages) = rig.dial().await;
    let master_message::Message::Registered(registered) = hear(&mut messages).await else {
        panic!("not registered")
    };
    let agent = registered.agent_id.unwrap();
    assert!(matches!(hear(&mut messages).await, master_message::Message::Snapshot(_)));

    let mut scheduler = subscribe(&rig.kernel).await;
    let subscribed = hear_event(&mut scheduler, event::Type::Subscribed).await.subscribed.unwrap();
    let offers = hear_event(&mut scheduler, event::Type::Offers).await.offers.unwrap().offers;
    scheduler.calls.send(launch(&offers[0])).await.unwrap();
    let launched = loop {
        if let master_message::Message::Launch(launch) = hear(&mut messages).await {
            break launch;
        }
    };
    assert_eq!(launched.task.unwrap().task_id.value, "t");

    let mut status =
        TaskStatus { task_id: "t".into(), uuid: Some(vec![1; 16]), ..TaskStatus::default() };
    status.timestamp = Some(1e12);
    status.set_state(TaskState::TaskRunning);
    let update = StatusUpdate { framework_id: Some(subscribed.framework_id), status: Some(status) };
    say.send(message(agent_message::Message::Update(update))).await.unwrap();
    let told = hear_event(&mut scheduler, event::Type::Update).await.update.unwrap().status;
    assert_eq!(told.state(), TaskState::TaskRunning);
    assert_eq!(told.agent_id, Some(agent.clone()));

    let (code, state) = rig.get("/state").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(state["activated_slaves"], 1);
    assert_eq!(state["slaves"][0]["used_resources"]["cpus"], 1.0);
    assert_eq!(state["frameworks"][0]["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(rig.get("/master/tasks?task_id=t").await.1["tasks"][0]["slave_id"], agent.value);
    assert_eq!(rig.get("/tasks?order=sideways").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(rig.get("/metrics/snapshot").await.1["master/tasks_running"], 1.0);

    drop((say, messages));
    timeout(PATIENCE, async {
        while rig.get("/state").await.1["activated_slaves"] != 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the master to see the link end");
}

#[tokio::test]
async fn nothing_is_said_that_is_not_written() {
    let rig = Rig::start().await;
    rig.store.full.store(true, Ordering::SeqCst);
    let (_say, mut messages) = rig.dial().await;
    timeout(PATIENCE, async {
        while rig.get("/health").await.0 == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the master to notice");
    let (code, reason) = rig.get("/health").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.as_str().unwrap().contains("registry.redb"), "{reason}");
    // Questions are answered meanwhile; the agent is not.
    assert_eq!(rig.get("/state").await.0, StatusCode::OK);
    assert!(timeout(Duration::from_millis(300), messages.message()).await.is_err());
    rig.store.full.store(false, Ordering::SeqCst);
    assert!(matches!(hear(&mut messages).await, master_message::Message::Registered(_)));
    assert_eq!(rig.get("/health").await.0, StatusCode::OK);
}
