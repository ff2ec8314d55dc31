//! A master with a store, an agent's end of a link, a framework's, and an operator's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{AgentInfo, CommandInfo, Filters, FrameworkInfo, Offer, TaskInfo, offer};
use muster_api::muster::link_client::LinkClient;
use muster_api::muster::{AgentMessage, MasterMessage, Register, agent_message, master_message};
use muster_master::core::Options;
use muster_master::{Kernel, Scheduler};
use muster_resources::Resources;
use muster_store::{Batch, Error, Redb, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tower::ServiceExt as _;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A store whose disk can be full.
pub(crate) struct Moody {
    inner: Redb,
    pub(crate) full: AtomicBool,
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

pub(crate) struct Rig {
    pub(crate) kernel: Kernel,
    pub(crate) store: Arc<Moody>,
    link: SocketAddr,
    directory: TempDir,
    adjust: fn(&mut Options),
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A master with other options than the defaults.
    pub(crate) async fn with(adjust: fn(&mut Options)) -> Self {
        Self::on(tempfile::tempdir().unwrap(), adjust).await
    }

    async fn on(directory: TempDir, adjust: fn(&mut Options)) -> Self {
        let inner = Redb::open(&directory.path().join("registry.redb")).unwrap();
        let store = Arc::new(Moody { inner, full: AtomicBool::new(false) });
        let address = "127.0.0.1:5050".parse().unwrap();
        let mut options = Options::new("m".into(), "localhost".into(), address);
        options.allocator.allocation_interval = Duration::from_millis(200);
        options.allocator.seed = 1;
        adjust(&mut options);
        let kernel = Kernel::start(options, store.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = listener.local_addr().unwrap();
        tokio::spawn(muster_master::link::serve(kernel.clone(), listener));
        Self { kernel, store, link, directory, adjust }
    }

    /// A new master on the file as it is on disk at this moment, which is what the old one would
    /// leave if it was killed now.
    pub(crate) async fn killed(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let name = "registry.redb";
        std::fs::copy(self.directory.path().join(name), directory.path().join(name)).unwrap();
        Self::on(directory, self.adjust).await
    }

    /// Status, content type and body.
    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, String, Vec<u8>) {
        let response =
            muster_master::http::router(self.kernel.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let content = response.headers().get("content-type");
        let content = content.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        (status, content, body)
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request =
            Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let (status, _, body) = self.send(request).await;
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        (status, value)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask("GET", path, "").await
    }

    /// A call of the v1 operator API in JSON.
    pub(crate) async fn call(&self, call: Value) -> (StatusCode, Value) {
        let request = Request::post("/api/v1")
            .header("content-type", "application/json")
            .body(Body::from(call.to_string()))
            .unwrap();
        let (status, _, body) = self.send(request).await;
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        (status, value)
    }

    /// Dials as an agent, and waits until it is registered.
    pub(crate) async fn agent(&self) -> (mpsc::Sender<AgentMessage>, Streaming<MasterMessage>) {
        let (say, mut messages) = self.dial().await;
        let first = hear(&mut messages).await;
        assert!(matches!(first, master_message::Message::Registered(_)), "{first:?}");
        (say, messages)
    }

    pub(crate) async fn dial(&self) -> (mpsc::Sender<AgentMessage>, Streaming<MasterMessage>) {
        let address = format!("http://{}", self.link);
        let channel = tonic::transport::Channel::from_shared(address).unwrap();
        let mut client = LinkClient::new(channel.connect().await.unwrap());
        let (say, said) = mpsc::channel(16);
        say.send(message(agent_message::Message::Register(registration()))).await.unwrap();
        (say, client.attach(ReceiverStream::new(said)).await.unwrap().into_inner())
    }
}

pub(crate) fn message(message: agent_message::Message) -> AgentMessage {
    AgentMessage { message: Some(message) }
}

pub(crate) fn registration() -> Register {
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

pub(crate) async fn hear(messages: &mut Streaming<MasterMessage>) -> master_message::Message {
    let message = timeout(PATIENCE, messages.message()).await.expect("a message in time");
    message.unwrap().expect("an open link").message.unwrap()
}

pub(crate) async fn hear_event(scheduler: &mut Scheduler, kind: event::Type) -> Event {
    loop {
        let event = timeout(PATIENCE, scheduler.events.recv()).await.expect("an event in time");
        let event = event.expect("a subscription");
        if event.r#type() == kind {
            return event;
        }
    }
}

pub(crate) async fn subscribe(kernel: &Kernel) -> Scheduler {
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

pub(crate) fn launch(offer: &Offer) -> Call {
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
            // The rest may be offered again at once.
            filters: Some(Filters { refuse_seconds: Some(0.0) }),
        }),
        ..Call::default()
    };
    call.set_type(call::Type::Accept);
    call
}
