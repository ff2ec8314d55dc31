//! The link to the master, as a stream of events.

use std::time::Duration;

use muster_api::muster::AgentMessage;
use muster_api::muster::link_client::LinkClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Endpoint;

use crate::{Input, LinkEvent};

/// Largest message taken: the view of a large cluster.
const MAX_MESSAGE: usize = 256 << 20;
/// How long connecting may take before it is tried anew.
const CONNECT: Duration = Duration::from_secs(5);

/// Dials `master` after a pause and turns what happens into inputs, until the link ends.
pub(crate) async fn run(
    master: Endpoint,
    session: u64,
    after: Duration,
    said: mpsc::UnboundedReceiver<AgentMessage>,
    inputs: mpsc::Sender<Input>,
) {
    tokio::time::sleep(after).await;
    let error = talk(&master, session, said, &inputs).await;
    let event = LinkEvent::Disconnected { error: format!("{}: {error}", master.uri()) };
    // Nobody is left to hear it when the agent stops.
    let _ = inputs.send(Input::Link { session, event }).await;
}

/// Talks until the link ends; says why it did.
async fn talk(
    master: &Endpoint,
    session: u64,
    said: mpsc::UnboundedReceiver<AgentMessage>,
    inputs: &mpsc::Sender<Input>,
) -> String {
    let endpoint = master.clone().connect_timeout(CONNECT).tcp_nodelay(true);
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return causes(&error),
    };
    let stopped = || "the agent is stopping".to_owned();
    let connected = Input::Link { session, event: LinkEvent::Connected };
    if inputs.send(connected).await.is_err() {
        return stopped();
    }
    let mut client = LinkClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let mut heard = match client.attach(UnboundedReceiverStream::new(said)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return causes(&status),
    };
    loop {
        match heard.message().await {
            Ok(Some(message)) => {
                let event = LinkEvent::Message(Box::new(message));
                if inputs.send(Input::Link { session, event }).await.is_err() {
                    return stopped();
                }
            }
            Ok(None) => return "the master closed the link".to_owned(),
            Err(status) => return causes(&status),
        }
    }
}

/// An error with all that caused it: the transport's own words say little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
