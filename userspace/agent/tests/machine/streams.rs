//! A client of the streams of the operator API.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use muster_api::mesos::agent::process_io::{self, control, data};
use muster_api::mesos::agent::{Call, ProcessIo};
use muster_api::{Encoding, json, recordio};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::http::Answer;
use super::site::{Site, in_time};

const RECORDIO: &str = "application/recordio";

/// What a container writes, as it comes.
pub(crate) struct Output {
    body: Incoming,
    reader: recordio::Reader,
    encoding: Encoding,
    /// Standard output and error so far.
    pub(crate) text: [String; 2],
    pub(crate) heartbeats: usize,
}

/// What a container is given.
pub(crate) struct Input {
    records: mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>,
    encoding: Encoding,
    answer: JoinHandle<Answer>,
}

/// Makes a call whose answer is a stream; or what else the answer is.
pub(crate) async fn call(site: &Site, call: &Value, encoding: Encoding) -> Result<Output, Answer> {
    let call: Call = json::from_value(call).unwrap();
    let request = hyper::Request::post(site.url("/api/v1"))
        .header("content-type", encoding.media_type())
        .header("accept", RECORDIO)
        .header("message-accept", encoding.media_type())
        .body(Full::from(encoding.encode(&call).unwrap()));
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let answer = in_time("an answer", client.request(request.unwrap())).await.unwrap();
    if answer.status() != StatusCode::OK {
        return Err(read(answer).await);
    }
    assert_eq!(answer.headers()["content-type"], RECORDIO);
    assert_eq!(answer.headers()["message-content-type"], encoding.media_type());
    let (body, reader) = (answer.into_body(), recordio::Reader::default());
    Ok(Output { body, reader, encoding, text: Default::default(), heartbeats: 0 })
}

async fn read(answer: hyper::Response<Incoming>) -> Answer {
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Answer { status, body: String::from_utf8(body.to_vec()).unwrap() }
}

impl Output {
    /// Reads a record; whether there was one.
    async fn advance(&mut self) -> bool {
        let record = loop {
            if let Some(record) = self.reader.next_record().unwrap() {
                break record;
            }
            match self.body.frame().await {
                None => return false,
                Some(frame) => self.reader.push(&frame.unwrap().into_data().unwrap()),
            }
        };
        let message: ProcessIo = self.encoding.decode(&record).unwrap();
        match message.r#type() {
            process_io::Type::Data => {
                let data = message.data.unwrap();
                let errors = data.r#type() == data::Type::Stderr;
                self.text[usize::from(errors)]
                    .push_str(&String::from_utf8(data.data.unwrap()).unwrap());
            }
            process_io::Type::Control => {
                let control = message.control.unwrap();
                assert_eq!(control.r#type(), control::Type::Heartbeat);
                assert_eq!(
                    control.heartbeat.unwrap().interval.unwrap().nanoseconds,
                    30_000_000_000
                );
                self.heartbeats += 1;
            }
            process_io::Type::Unknown => panic!("{message:?}"),
        }
        true
    }

    /// Reads until standard output has `text`.
    pub(crate) async fn until(&mut self, text: &str) {
        in_time(text, async {
            while !self.text[0].contains(text) {
                assert!(self.advance().await, "ended after {:?}", self.text);
            }
        })
        .await;
    }

    /// Reads all there is.
    pub(crate) async fn end(mut self) -> [String; 2] {
        in_time("the end of the output", async { while self.advance().await {} }).await;
        assert!(self.heartbeats > 0);
        self.text
    }
}

impl Input {
    /// Begins to be the input of the container with this id.
    pub(crate) fn to(site: &Site, id: &Value, encoding: Encoding) -> Self {
        let input = Self::bare(site, encoding);
        input.record(&json!({"type": "CONTAINER_ID", "container_id": id}));
        input
    }

    /// A stream in which nothing is yet.
    pub(crate) fn bare(site: &Site, encoding: Encoding) -> Self {
        let (records, body) = mpsc::unbounded_channel();
        let request = hyper::Request::post(site.url("/api/v1"))
            .header("content-type", RECORDIO)
            .header("message-content-type", encoding.media_type())
            .body(StreamBody::new(UnboundedReceiverStream::new(body)))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer =
            tokio::spawn(async move { read(client.request(request).await.unwrap()).await });
        Self { records, encoding, answer }
    }

    fn record(&self, asked: &Value) {
        let call = json!({"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": asked});
        self.call(&call);
    }

    pub(crate) fn call(&self, call: &Value) {
        let call: Call = json::from_value(call).unwrap();
        let frame = recordio::frame(&self.encoding.encode(&call).unwrap());
        // The agent may have had enough.
        let _ = self.records.send(Ok(Frame::data(frame.into())));
    }

    pub(crate) fn message(&self, message: &Value) {
        self.record(&json!({"type": "PROCESS_IO", "process_io": message}));
    }

    /// Base64 is written by the codec: bytes go through a message.
    pub(crate) fn data(&self, text: &str) {
        let data = process_io::Data {
            r#type: Some(data::Type::Stdin.into()),
            data: Some(text.as_bytes().to_vec()),
        };
        let message = ProcessIo {
            r#type: Some(process_io::Type::Data.into()),
            data: Some(data),
            control: None,
        };
        self.message(&serde_json::to_value(json::Json(&message)).unwrap());
    }

    pub(crate) fn size(&self, rows: u32, columns: u32) {
        self.message(&json!({"type": "CONTROL", "control": {
            "type": "TTY_INFO",
            "tty_info": {"window_size": {"rows": rows, "columns": columns}},
        }}));
    }

    /// Ends the stream; what the agent says of it.
    pub(crate) async fn end(self) -> Answer {
        drop(self.records);
        in_time("an answer", self.answer).await.unwrap()
    }

    /// What the agent says though the stream goes on.
    pub(crate) async fn answer(self) -> Answer {
        let answer = in_time("an answer", self.answer).await.unwrap();
        drop(self.records);
        answer
    }
}
