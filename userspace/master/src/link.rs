//! The gRPC service that agents link to.

use std::pin::Pin;

use futures::Stream;
use muster_api::muster::link_server::{Link, LinkServer};
use muster_api::muster::{AgentMessage, MasterMessage, agent_message};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::core::{Input, LinkId};
use crate::kernel::{Kernel, Message};

/// Largest message taken: an agent's registration with all its tasks.
const MAX_MESSAGE: usize = 256 << 20;

/// Serves agents on `listener` until it fails.
///
/// # Errors
/// The transport's, when it cannot go on.
pub async fn serve(kernel: Kernel, listener: TcpListener) -> Result<(), tonic::transport::Error> {
    let service = LinkServer::new(Service { kernel })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
}

struct Service {
    kernel: Kernel,
}

#[tonic::async_trait]
impl Link for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<MasterMessage, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let stopped = |_| Status::unavailable("the master is stopping");
        let (link, outbox) = self.kernel.open_link().await.map_err(stopped)?;
        let (gone, agent_gone) = mpsc::channel::<()>(1);
        tokio::spawn(listen(self.kernel.clone(), link, request.into_inner(), gone));
        // The stream to the agent ends with the one from it, and the other way round:
        // dropping `agent_gone` makes the listener stop.
        let messages = ReceiverStream::new(outbox).map(move |message| {
            let _held = &agent_gone;
            Ok(message)
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// Turns what an agent says into inputs.
async fn listen(
    kernel: Kernel,
    link: LinkId,
    mut said: Streaming<AgentMessage>,
    outbox_gone: mpsc::Sender<()>,
) {
    loop {
        let message = tokio::select! {
            message = said.message() => message,
            () = outbox_gone.closed() => break,
        };
        let message = match message {
            Ok(Some(AgentMessage { message: Some(message) })) => message,
            Ok(Some(_)) => continue,
            Ok(None) => break,
            Err(status) => {
                tracing::debug!(link, %status, "link broke");
                break;
            }
        };
        let input = match message {
            agent_message::Message::Register(register) => {
                Input::Register { link, register: Box::new(register) }
            }
            agent_message::Message::Update(update) => {
                Input::Update { link, update: Box::new(update) }
            }
            agent_message::Message::ExecutorMessage(message) => {
                Input::ExecutorMessage { link, message: Box::new(message) }
            }
            agent_message::Message::ExecutorExited(exited) => {
                Input::ExecutorExited { link, exited: Box::new(exited) }
            }
            agent_message::Message::Pong(_) => Input::Pong { link },
        };
        if kernel.send(Message::Input(input)).await.is_err() {
            return;
        }
    }
    // Nobody is left to be told when the master has stopped.
    let _ = kernel.send(Message::Input(Input::LinkClosed { link })).await;
}
