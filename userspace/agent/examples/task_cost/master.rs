//! The master: as much of one as an agent needs to run tasks.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use muster_api::mesos::{FrameworkInfo, KillPolicy, TaskInfo, TaskStatus};
use muster_api::muster::link_server::{Link as Service, LinkServer};
use muster_api::muster::{
    Acknowledge, AgentMessage, Kill, Launch, MasterMessage, Ping, Registered, agent_message,
    master_message::Message,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use crate::Failure;

/// The only agent's id.
pub(crate) const AGENT: &str = "bench-S0";
const FRAMEWORK: &str = "bench-launch";
/// How long an agent may be silent while something is expected of it.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server for agents.
pub(crate) struct Master {
    address: SocketAddr,
    links: mpsc::UnboundedReceiver<Link>,
}

/// An agent that is linked.
pub(crate) struct Link {
    from: mpsc::UnboundedReceiver<AgentMessage>,
    to: mpsc::UnboundedSender<Result<MasterMessage, Status>>,
}

struct Links(mpsc::UnboundedSender<Link>);

#[tonic::async_trait]
impl Service for Links {
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
        self.0.send(Link { from, to }).map_err(|_| Status::unavailable("over"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(saying))))
    }
}

impl Master {
    /// Listens on any port of loopback.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, links) = mpsc::unbounded_channel();
        let service = LinkServer::new(Links(sender));
        let server = tonic::transport::Server::builder().tcp_nodelay(true).add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Self { address, links })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The agent, registered.
    pub(crate) async fn register(&mut self) -> Result<Link, Failure> {
        let link = tokio::time::timeout(PATIENCE, self.links.recv()).await;
        let mut link = link.map_err(|_| "the agent does not dial")?.ok_or("the server ended")?;
        match link.next().await? {
            agent_message::Message::Register(_) => {}
            other => return Err(format!("the agent begins with {other:?}").into()),
        }
        link.say(Message::Registered(Registered {
            agent_id: Some(AGENT.into()),
            master_id: "bench".into(),
            ping_interval_seconds: 15.0,
        }))?;
        Ok(link)
    }
}

impl Link {
    fn say(&self, message: Message) -> Result<(), Failure> {
        let message = MasterMessage { message: Some(message) };
        self.to.send(Ok(message)).map_err(|_| "the link is gone".into())
    }

    /// What the agent says next.
    async fn next(&mut self) -> Result<agent_message::Message, Failure> {
        let said = tokio::time::timeout(PATIENCE, self.from.recv()).await;
        let said = said.map_err(|_| "the agent says nothing any more")?;
        said.and_then(|said| said.message).ok_or_else(|| "the link is gone".into())
    }

    /// Has a task launched.
    pub(crate) fn launch(&self, task: TaskInfo) -> Result<(), Failure> {
        let framework = FrameworkInfo {
            name: FRAMEWORK.into(),
            user: "root".into(),
            roles: vec!["*".into()],
            ..FrameworkInfo::default()
        };
        let framework_id = Some(FRAMEWORK.into());
        let (task, framework) = (Some(task), Some(framework));
        self.say(Message::Launch(Launch { framework_id, task, framework, ..Launch::default() }))
    }

    /// Has a task killed without grace.
    pub(crate) fn kill(&self, task: &str) -> Result<(), Failure> {
        let (framework_id, task_id) = (Some(FRAMEWORK.into()), Some(task.into()));
        let kill_policy = Some(KillPolicy::default());
        self.say(Message::Kill(Kill { framework_id, task_id, kill_policy }))
    }

    /// The next status, acknowledged.
    pub(crate) async fn update(&mut self) -> Result<TaskStatus, Failure> {
        let status = match self.next().await? {
            agent_message::Message::Update(update) => update.status.ok_or("an empty update")?,
            other => return Err(format!("not a status: {other:?}").into()),
        };
        self.say(Message::Acknowledge(Acknowledge {
            framework_id: Some(FRAMEWORK.into()),
            task_id: Some(status.task_id.clone()),
            uuid: status.uuid.clone().ok_or("a status without a uuid")?,
        }))?;
        Ok(status)
    }

    /// Waits until the agent has dealt with all that was said to it.
    pub(crate) async fn settle(&mut self) -> Result<(), Failure> {
        self.say(Message::Ping(Ping {}))?;
        match self.next().await? {
            agent_message::Message::Pong(_) => Ok(()),
            other => Err(format!("not a pong: {other:?}").into()),
        }
    }
}
