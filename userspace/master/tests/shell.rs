//! The master with its sockets: a linked agent, a framework, HTTP, and a disk that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{
    AgentInfo, CommandInfo, FrameworkInfo, Offer, TaskInfo, TaskState, TaskStatus, offer,
};
use muster_api::muster::link_client::LinkClient;
use muster_api::muster::{
    AgentMessage, MasterMessage, Register, StatusUpdate, agent_message, master_message,
};
use muster_master::core::Options;
use muster_master::{Kernel, Scheduler};
use muster_resources::Resources;
use muster_store::{Batch, Error, Redb, Store};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tower::ServiceExt as _;

const PATIENCE: Duration = Duration::from_secs(30);

/// A store whose disk can be full.
struct Moody {
    inner: Redb,
    full: AtomicBool,
}

impl Store for Moody {
    fn scan(&self, table: &'static str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.inner.scan(table)
    }

    fn commit(&self, batch: Batch) -> Result<(), Error> {
        if self.full.load(Ordering::SeqCst) && !batch.is_empty() {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(Error::Directory { path: "registry.redb".into(), source });
        }
        self.inner.commit(batch)
    }
}

struct Rig {
    kernel: Kernel,
    store: Arc<Moody>,
    link: std::net::SocketAddr,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let inner = Redb::open(&directory.path().join("registry.redb")).unwrap();
        let store = Arc::new(Moody { inner, full: AtomicBool::new(false) });
        let options = Options {
            master_id: "m".into(),
            hostname: "localhost".into(),
            address: "127.0.0.1:5050".parse().unwrap(),
            cluster: None,
            allocation_interval: Duration::from_millis(200),
            offer_timeout: None,
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_mins(10),
            seed: 1,
        };
        let kernel = Kernel::start(options, store.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = listener.local_addr().unwrap();
        tokio::spawn(muster_master::link::serve(kernel.clone(), listener));
        Self { kernel, store, link, _directory: directory }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response =
            muster_master::http::router(self.kernel.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        (status, value)
    }

    async fn dial(&self) -> (mpsc::Sender<AgentMessage>, Streaming<MasterMessage>) {
        let address = format!("http://{}", self.link);
        let channel = tonic::transport::Channel::from_shared(address).unwrap();
        let mut client = LinkClient::new(channel.connect().await.unwrap());
        let (say, said) = mpsc::channel(16);
        say.send(message(agent_message::Message::Register(registration()))).await.unwrap();
        (say, client.attach(ReceiverStream::new(said)).await.unwrap().into_inner())
    }
}

fn message(message: agent_message::Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}

fn registration() -> Register {
    Register {
        info: Some(AgentInfo {
            hostname: "one".into(),
            resources: Resources::parse("cpus:4;mem:4096").unwrap().to_proto(),
            ..AgentInfo::default()
        }),
        address: "127.0.0.1".into(),
        ..Register::default()
    }
}

async fn hear(messages: &mut Streaming<MasterMessage>) -> master_message::Message {
    let message = timeout(PATIENCE, messages.message()).await.expect("a message in time");
    message.unwrap().expect("an open link").message.unwrap()
}

async fn hear_event(scheduler: &mut Scheduler, kind: event::Type) -> Event {
    loop {
        let event = timeout(PATIENCE, scheduler.events.recv()).await.expect("an event in time");
        let event = event.expect("a subscription");
        if event.r#type() == kind {
            return event;
        }
    }
}

async fn subscribe(kernel: &Kernel) -> Scheduler {
    let scheduler = kernel.connect().await.unwrap();
    let info = FrameworkInfo { name: "f".into(), user: "root".into(), ..FrameworkInfo::default() };
    let mut call = Call {
        subscribe: Some(call::Subscribe { framework_info: info, ..call::Subscribe::default() }),
        ..Call::default()
    };
    call.set_type(call::Type::Subscribe);
    scheduler.calls.send(call).await.unwrap();
    scheduler
}

fn launch(offer: &Offer) -> Call {
    let task = TaskInfo {
        name: "t".into(),
        task_id: "t".into(),
        agent_id: offer.agent_id.clone(),
        resources: Resources::parse("cpus:1;mem:64").unwrap().to_proto(),
        command: Some(CommandInfo { value: Some("true".into()), ..CommandInfo::default() }),
        ..TaskInfo::default()
    };
    let mut operation = offer::Operation {
        launch: Some(offer::operation::Launch { task_infos: vec![task] }),
        ..offer::Operation::default()
    };
    operation.set_type(offer::operation::Type::Launch);
    let mut call = Call {
        accept: Some(call::Accept {
            offer_ids: vec![offer.id.clone()],
            operations: vec![operation],
            ..call::Accept::default()
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Accept);
    call
}

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
