//! The master, played by the test.

use std::net::SocketAddr;
use std::pin::Pin;

use futures::Stream;
use muster_api::TaskStateExt;
use muster_api::mesos::{FrameworkInfo, KillPolicy, TaskInfo, TaskState, TaskStatus};
use muster_api::muster::link_server::{Link, LinkServer};
use muster_api::muster::{
    Acknowledge, AgentMessage, Kill, Launch, MasterMessage, Ping, Register, Registered,
    agent_message, master_message::Message,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::site::{PATIENCE, in_time};

pub(crate) const AGENT: &str = "m-S0";
pub(crate) const FRAMEWORK: &str = "f";

/// A server for agents; ends, with all its links, when dropped.
pub(crate) struct Master {
    links: mpsc::UnboundedReceiver<Peer>,
    runtime: Option<Runtime>,
}

/// An agent that is linked.
pub(crate) struct Peer {
    from: mpsc::UnboundedReceiver<AgentMessage>,
    to: mpsc::UnboundedSender<Result<MasterMessage, Status>>,
}

struct Service {
    links: mpsc::UnboundedSender<Peer>,
}

#[tonic::async_trait]
impl Link for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<MasterMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (said, from) = mpsc::unbounded_channel();
        let (to, saying) = mpsc::unbounded_channel();
        let mut heard = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = heard.message().await {
                if said.send(message).is_err() {
                    break;
                }
            }
        });
        self.links.send(Peer { from, to }).map_err(|_| Status::unavailable("over"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(saying))))
    }
}

impl Master {
    /// Listens on `address`.
    pub(crate) fn start(address: SocketAddr) -> Self {
        // With threads of its own, so that it can die at once.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, links) = mpsc::unbounded_channel();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();

        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let service = LinkServer::new(Service { links: sender });
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { links, runtime: Some(runtime) }
    }

    /// The next agent that dials, before it is registered.
    pub(crate) async fn link(&mut self) -> Peer {
        in_time("an agent dials", self.links.recv()).await.unwrap()
    }

    /// The next agent that dials, registered, and what it said of itself.
    pub(crate) async fn register(&mut self) -> (Peer, Register) {
        let mut peer = self.link().await;
        let register = peer.registration().await;
        peer.say(Message::Registered(Registered {
            agent_id: Some(AGENT.into()),
            master_id: "m".into(),
            ping_interval_seconds: 15.0,
        }));
        (peer, register)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waits for its sockets to be closed, so that another can listen.
            let ended = std::thread::spawn(|| runtime.shutdown_timeout(PATIENCE)).join();
            ended.unwrap_or_default();
        }
    }
}

impl Peer {
    pub(crate) fn say(&self, message: Message) {
        // The agent may be gone; then the test knows.
        let _ = self.to.send(Ok(MasterMessage { message: Some(message) }));
    }

    /// What the agent says next; `None` once the link is gone.
    pub(crate) async fn next(&mut self) -> Option<agent_message::Message> {
        in_time("the agent speaks", self.from.recv()).await.and_then(|said| said.message)
    }

    pub(crate) async fn registration(&mut self) -> Register {
        match self.next().await {
            Some(agent_message::Message::Register(register)) => register,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn launch(&self, info: TaskInfo) {
        let framework_id = Some(FRAMEWORK.into());
        let framework = FrameworkInfo {
            name: "frame".into(),
            user: "someone".into(),
            roles: vec!["r".into()],
            ..FrameworkInfo::default()
        };
        let (task, framework) = (Some(info), Some(framework));
        let launch = Launch { framework_id, task, framework, ..Launch::default() };
        self.say(Message::Launch(launch));
    }

    pub(crate) fn kill(&self, task: &str, kill_policy: Option<KillPolicy>) {
        self.say(Message::Kill(Kill {
            framework_id: Some(FRAMEWORK.into()),
            task_id: Some(task.into()),
            kill_policy,
        }));
    }

    pub(crate) fn acknowledge(&self, status: &TaskStatus) {
        self.say(Message::Acknowledge(Acknowledge {
            framework_id: Some(FRAMEWORK.into()),
            task_id: Some(status.task_id.clone()),
            uuid: status.uuid.clone().unwrap(),
        }));
    }

    /// The next status update, without acknowledging it; `None` once the link is gone.
    pub(crate) async fn update_or_end(&mut self) -> Option<TaskStatus> {
        match self.next().await? {
            agent_message::Message::Update(update) => update.status,
            other => panic!("{other:?}"),
        }
    }

    /// The next status update, without acknowledging it.
    pub(crate) async fn update(&mut self) -> TaskStatus {
        self.update_or_end().await.expect("the link is gone")
    }

    /// The next status update, acknowledged, which must be of this state.
    pub(crate) async fn expect(&mut self, state: TaskState) -> TaskStatus {
        let status = self.update().await;
        assert_eq!(status.state(), state, "{status:?}");
        self.acknowledge(&status);
        status
    }

    /// Launches a task and sees it run.
    pub(crate) async fn run(&mut self, info: TaskInfo) -> TaskStatus {
        self.launch(info);
        self.expect(TaskState::TaskStarting).await;
        self.expect(TaskState::TaskRunning).await
    }

    /// Acknowledges updates up to the end of the one task that is left.
    pub(crate) async fn end(&mut self) -> TaskStatus {
        loop {
            let status = self.update().await;
            self.acknowledge(&status);
            if status.state().is_terminal() {
                return status;
            }
        }
    }

    /// Acknowledges updates up to one that says that a task runs or has ended.
    pub(crate) async fn end_or_run(&mut self) -> TaskStatus {
        loop {
            let status = self.update().await;
            self.acknowledge(&status);
            if status.state() != TaskState::TaskStarting {
                return status;
            }
        }
    }

    /// Waits until the agent has dealt with all that was said to it.
    pub(crate) async fn settle(&mut self) {
        self.say(Message::Ping(Ping {}));
        match self.next().await {
            Some(agent_message::Message::Pong(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
