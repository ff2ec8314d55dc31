//! Calls of an agent's operator API.

use std::convert::Infallible;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use muster_api::mesos::agent::{Call, Response as Told};
use muster_api::{Encoding, recordio};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// How everything is written.
const ENCODING: Encoding = Encoding::Protobuf;
const RECORDIO: &str = "application/recordio";

/// An agent.
pub(super) struct Client {
    agent: String,
}

/// What an agent tells, as it comes.
pub(super) struct Records {
    body: Incoming,
    reader: recordio::Reader,
}

/// What an agent is told, as it comes.
#[derive(Clone)]
pub(super) struct Sender(mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>);

impl Client {
    /// The agent at `ADDRESS:PORT`.
    pub(super) fn of(agent: &str) -> Self {
        Self { agent: agent.to_owned() }
    }

    /// Makes a call that is answered at once.
    pub(super) async fn call(&self, call: &Call) -> anyhow::Result<Told> {
        let request = self.request(ENCODING.media_type()).header(ACCEPT, ENCODING.media_type());
        let answer = self.ask(request.body(Full::from(ENCODING.encode(call)?))?).await?;
        Ok(ENCODING.decode(&answer.into_body().collect().await?.to_bytes())?)
    }

    /// Makes a call that is answered by a stream.
    pub(super) async fn stream(&self, call: &Call) -> anyhow::Result<Records> {
        let request = self.request(ENCODING.media_type()).header(ACCEPT, RECORDIO);
        let request = request.header("Message-Accept", ENCODING.media_type());
        let answer = self.ask(request.body(Full::from(ENCODING.encode(call)?))?).await?;
        Ok(Records { body: answer.into_body(), reader: recordio::Reader::default() })
    }

    /// Begins a call that is a stream: where it goes in, and what comes of it.
    pub(super) fn send(
        &self,
    ) -> anyhow::Result<(Sender, impl Future<Output = anyhow::Result<()>> + Send + 'static)> {
        let (sender, records) = mpsc::unbounded_channel();
        let request = self.request(RECORDIO).header("Message-Content-Type", ENCODING.media_type());
        let request = request.body(StreamBody::new(UnboundedReceiverStream::new(records)))?;
        let agent = self.agent.clone();
        Ok((Sender(sender), async move {
            let http = Http::builder(TokioExecutor::new()).build_http();
            let answer = http.request(request).await;
            taken(answer.with_context(|| asking(&agent))?).await.map(drop)
        }))
    }

    fn request(&self, content: &str) -> hyper::http::request::Builder {
        Request::post(format!("http://{}/api/v1", self.agent)).header(CONTENT_TYPE, content)
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let http = Http::builder(TokioExecutor::new()).build_http();
        let answer = http.request(request).await.with_context(|| asking(&self.agent))?;
        taken(answer).await
    }
}

fn asking(agent: &str) -> String {
    format!("asking the agent at {agent}")
}

/// The answer, if the call was taken.
async fn taken(answer: Response<Incoming>) -> anyhow::Result<Response<Incoming>> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let text = answer.into_body().collect().await?.to_bytes();
    bail!("{status}: {}", String::from_utf8_lossy(&text).trim())
}

impl Records {
    /// The next message; `None` at the end.
    pub(super) async fn next<M: prost::Message + prost::Name + Default>(
        &mut self,
    ) -> anyhow::Result<Option<M>> {
        loop {
            if let Some(record) = self.reader.next_record()? {
                return Ok(Some(ENCODING.decode(&record)?));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.context("the connection broke")?.into_data() {
                        self.reader.push(&data);
                    }
                }
            }
        }
    }
}

impl Sender {
    /// Sends a call. An agent that has had enough says why in its answer.
    pub(super) fn send(&self, call: &Call) -> anyhow::Result<()> {
        let frame = recordio::frame(&ENCODING.encode(call)?);
        let _ = self.0.send(Ok(Frame::data(frame.into())));
        Ok(())
    }
}
