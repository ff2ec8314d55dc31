//! The shell: order of commits and calls, and a store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_services::{Config, Connection, Error, start, start_reconnecting};
use muster_store::{Batch, Memory, Redb, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// A store whose disk can be full.
#[derive(Default)]
struct Disk {
    rows: Memory,
    full: AtomicBool,
}

impl Store for Disk {
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, muster_store::Error> {
        self.rows.scan(table)
    }

    fn commit(&self, batch: Batch) -> Result<(), muster_store::Error> {
        if self.full.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(muster_store::Error::Directory { path: "/var/muster".into(), source });
        }
        self.rows.commit(batch)
    }
}

fn subscribed() -> Event {
    Event {
        r#type: Some(event::Type::Subscribed.into()),
        subscribed: Some(event::Subscribed { framework_id: "f".into(), ..Default::default() }),
        ..Default::default()
    }
}

async fn next(said: &mut mpsc::Receiver<Call>, kind: call::Type) -> Call {
    loop {
        let call = tokio::time::timeout(Duration::from_secs(30), said.recv()).await;
        let call = call.unwrap_or_else(|_| panic!("no {kind:?}")).unwrap();
        if call.r#type() == kind {
            return call;
        }
    }
}

async fn send(router: &axum::Router, request: Request<Body>) -> (u16, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn create() -> Request<Body> {
    Request::post("/v2/apps").body(json!({"id": "a", "cmd": "x"}).to_string().into()).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let disk = Arc::new(Disk::default());
    let (calls, mut said) = mpsc::channel(16);
    let (heard, events) = mpsc::channel(16);
    let services = start(Config::new("here"), Arc::clone(&disk) as _, calls, events).unwrap();
    let router = services.router();
    next(&mut said, call::Type::Subscribe).await;
    heard.send(subscribed()).await.unwrap();
    next(&mut said, call::Type::Reconcile).await;
    disk.full.store(true, Ordering::SeqCst);
    let (status, body) = send(&router, create()).await;
    assert_eq!(status, 503, "{body}");
    assert!(body["message"].as_str().unwrap().contains("/var/muster"), "{body}");
    // What was not stored was not made, and the master is asked afresh.
    next(&mut said, call::Type::Reconcile).await;
    let list = || Request::get("/v2/apps").body(Body::empty()).unwrap();
    assert_eq!(send(&router, list()).await, (200, json!({"apps": []})));
    disk.full.store(false, Ordering::SeqCst);
    let (status, body) = send(&router, create()).await;
    assert_eq!(status, 201, "{body}");
    next(&mut said, call::Type::Revive).await;
}

#[tokio::test]
async fn offers_that_could_not_be_used_are_given_back() {
    let disk = Arc::new(Disk::default());
    let (calls, mut said) = mpsc::channel(16);
    let (heard, events) = mpsc::channel(16);
    let services = start(Config::new("here"), Arc::clone(&disk) as _, calls, events).unwrap();
    let router = services.router();
    heard.send(subscribed()).await.unwrap();
    assert_eq!(send(&router, create()).await.0, 201);
    next(&mut said, call::Type::Revive).await;
    disk.full.store(true, Ordering::SeqCst);
    let offer = |id: &str| muster_api::mesos::Offer {
        id: id.into(),
        agent_id: "a1".into(),
        resources: vec![
            super::world::scalar("cpus", 8.0),
            super::world::scalar("mem", 8192.0),
            super::world::port_range(31_000, 32_000),
        ],
        ..Default::default()
    };
    let offers = |id: &str| Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(event::Offers { offers: vec![offer(id)] }),
        ..Default::default()
    };
    heard.send(offers("O1")).await.unwrap();
    let decline = next(&mut said, call::Type::Decline).await;
    assert_eq!(decline.decline.unwrap().offer_ids[0].value, "O1");
    disk.full.store(false, Ordering::SeqCst);
    // It still wants offers, and uses the next.
    next(&mut said, call::Type::Revive).await;
    heard.send(offers("O2")).await.unwrap();
    let accept = next(&mut said, call::Type::Accept).await;
    assert_eq!(accept.accept.unwrap().offer_ids[0].value, "O2");
}

#[tokio::test]
async fn one_connection_follows_the_other() {
    let (made, mut masters) = mpsc::unbounded_channel();
    let connect = move || {
        let (calls, said) = mpsc::channel(16);
        let (heard, events) = mpsc::channel(16);
        made.send((said, heard)).unwrap();
        std::future::ready(Some(Connection { calls, events }))
    };
    let store = Arc::new(Memory::default());
    let services = start_reconnecting(Config::new("here"), store, connect).unwrap();
    let (mut said, heard) = masters.recv().await.unwrap();
    assert!(next(&mut said, call::Type::Subscribe).await.framework_id.is_none());
    heard.send(subscribed()).await.unwrap();
    next(&mut said, call::Type::Reconcile).await;
    assert_eq!(send(&services.router(), create()).await.0, 201);
    // The master has had enough of this framework.
    let refused = Event {
        r#type: Some(event::Type::Error.into()),
        error: Some(event::Error { message: "Framework has been removed".into() }),
        ..Default::default()
    };
    heard.send(refused).await.unwrap();
    drop((said, heard));
    let (mut said, heard) = masters.recv().await.unwrap();
    let subscribe = next(&mut said, call::Type::Subscribe).await;
    assert!(subscribe.framework_id.is_none(), "as another it may come back");
    heard.send(subscribed()).await.unwrap();
    next(&mut said, call::Type::Revive).await;
}

#[tokio::test]
async fn without_a_master_requests_are_refused() {
    let (calls, _said) = mpsc::channel(16);
    let (heard, events) = mpsc::channel(16);
    let store = Arc::new(Memory::default());
    let services = start(Config::new("here"), store, calls, events).unwrap();
    drop(heard);
    let router = services.router();
    let (status, body) = send(&router, create()).await;
    // Either it came first, or it was told that nobody is there.
    assert!(status == 201 || status == 503, "{body}");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (status, _) = send(&router, create()).await;
        if status == 503 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.redb");
    for round in 0..2 {
        let store = Arc::new(open(&path).await);
        let (calls, mut said) = mpsc::channel(16);
        let (heard, events) = mpsc::channel(16);
        let services = start(Config::new("here"), store, calls, events).unwrap();
        let router = services.router();
        let subscribe = next(&mut said, call::Type::Subscribe).await;
        assert_eq!(subscribe.framework_id.is_some(), round == 1);
        heard.send(subscribed()).await.unwrap();
        let (status, body) = send(&router, create()).await;
        assert_eq!(status, if round == 0 { 201 } else { 409 }, "{body}");
        drop((heard, router, services));
    }
}

/// The store, once whoever had it before has ended.
async fn open(path: &std::path::Path) -> Redb {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match Redb::open(path) {
            Err(muster_store::Error::InUse { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn it_needs_a_runtime() {
    let (calls, _said) = mpsc::channel(1);
    let (_heard, events) = mpsc::channel(1);
    let store = Arc::new(Memory::default());
    let error = start(Config::new("here"), store, calls, events).unwrap_err();
    assert!(matches!(error, Error::NoRuntime(_)), "{error}");
}
