//! `ATTACH_CONTAINER_INPUT`: being what a container reads.

use std::io;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response as Answer};
use muster_api::mesos::agent::call::{AttachContainerInput, Type, attach_container_input};
use muster_api::mesos::agent::{Call, ProcessIo, process_io};
use muster_api::{Encoding, recordio};
use muster_containerizer::{Attachment, Input};
use tokio_stream::StreamExt as _;

use super::super::Look;
use super::super::call::{Refusal, bad_request};
use super::super::media::unsupported;
use super::launch::unattachable;
use super::{broken, needed};
use crate::agent::{Invalid, container_name, terminal};

const FIELD: &str = "attach_container_input";

/// Gives a container what comes, until nothing more does or the container has ended.
pub(super) async fn attach(look: &Look, encoding: Encoding, body: Body) -> Result<Answer, Refusal> {
    let mut records =
        Records { body: body.into_data_stream(), reader: recordio::Reader::default(), encoding };
    let Some(first) = records.next().await? else {
        return Err(bad_request("the body ends before its first record"));
    };
    let first = asked(first)?;
    if first.r#type() != attach_container_input::Type::ContainerId {
        return Err(bad_request(format!("{FIELD}.type of the first record is not CONTAINER_ID")));
    }
    let id = needed(first.container_id.as_ref(), "attach_container_input.container_id")?;
    let name = container_name(&format!("{FIELD}.container_id"), id)
        .map_err(|invalid| bad_request(invalid.to_string()))?;
    let attachment = look.containers.own().attach(&name);
    let attachment = attachment.map_err(|error| unattachable(look, &name, &error))?;
    let Some(_right) = look.sessions.input(&name) else {
        let problem = "Multiple input connections are not allowed";
        return Err(Refusal::new(StatusCode::CONFLICT, problem));
    };
    tokio::select! {
        fed = feed(&attachment, &mut records) => fed?,
        ended = ignore(&attachment) => ended.map_err(|error| broken(&error))?,
    }
    Ok(StatusCode::OK.into_response())
}

async fn feed(attachment: &Attachment, records: &mut Records) -> Result<(), Refusal> {
    while let Some(call) = records.next().await? {
        let call = asked(call)?;
        if call.r#type() != attach_container_input::Type::ProcessIo {
            return Err(bad_request(format!("{FIELD}.type is not PROCESS_IO")));
        }
        let message = needed(call.process_io.as_ref(), "attach_container_input.process_io")?;
        let input = input(message)
            .map_err(|invalid| bad_request(format!("{FIELD}.process_io.{invalid}")))?;
        let Some(input) = input else { continue };
        match attachment.input(&input).await {
            Ok(()) => {}
            // The container has ended, and needs nothing more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(broken(&error)),
        }
    }
    Ok(())
}

/// Takes what the container writes: who does not is in its way. It is for others.
async fn ignore(attachment: &Attachment) -> io::Result<()> {
    while attachment.output().await?.is_some() {}
    Ok(())
}

fn asked(call: Call) -> Result<AttachContainerInput, Refusal> {
    match call.r#type.and_then(|kind| Type::try_from(kind).ok()) {
        Some(Type::AttachContainerInput) => {
            call.attach_container_input.ok_or_else(|| bad_request(format!("{FIELD} is not set")))
        }
        Some(kind) => Err(unsupported(format!("a stream is nothing for {}", kind.as_str_name()))),
        None => Err(bad_request("type is not set, or not a type of call")),
    }
}

/// What a message has for the container; `None` if nothing.
fn input(message: &ProcessIo) -> Result<Option<Input>, Invalid> {
    let invalid = |field: &str, problem: &str| Err(Invalid::new(field, problem));
    match message.r#type() {
        process_io::Type::Unknown => invalid("type", "is not set, or not known"),
        process_io::Type::Data => {
            let Some(data) = &message.data else { return invalid("data", "is not set") };
            if data.r#type() != process_io::data::Type::Stdin {
                return invalid("data.type", "is not STDIN");
            }
            match &data.data {
                None => invalid("data.data", "is not set; empty it is the end of the input"),
                Some(data) if data.is_empty() => Ok(Some(Input::End)),
                Some(data) => Ok(Some(Input::Data(data.clone()))),
            }
        }
        process_io::Type::Control => {
            let Some(control) = &message.control else { return invalid("control", "is not set") };
            match control.r#type() {
                process_io::control::Type::Unknown => {
                    invalid("control.type", "is not set, or not known")
                }
                process_io::control::Type::Heartbeat => Ok(None),
                process_io::control::Type::TtyInfo => match &control.tty_info {
                    Some(info) if info.window_size.is_some() => {
                        terminal("control.tty_info", info).map(|size| Some(Input::WindowSize(size)))
                    }
                    _ => invalid("control.tty_info.window_size", "is not set"),
                },
            }
        }
    }
}

/// The calls of a stream.
struct Records {
    body: BodyDataStream,
    reader: recordio::Reader,
    encoding: Encoding,
}

impl Records {
    /// The next one; `None` at the end.
    async fn next(&mut self) -> Result<Option<Call>, Refusal> {
        loop {
            let record =
                self.reader.next_record().map_err(|error| bad_request(error.to_string()))?;
            if let Some(record) = record {
                let call = self.encoding.decode(&record);
                return call.map(Some).map_err(|error| bad_request(error.to_string()));
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.reader.push(&piece),
                // Nobody is left to be told.
                Some(Err(error)) => return Err(bad_request(error.to_string())),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::json;
    use muster_containerizer::WindowSize;
    use serde_json::{Value, json};

    use super::*;

    fn read(message: &Value) -> Result<Option<Input>, String> {
        input(&json::from_value(message).unwrap()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_is_for_the_container() {
        let data = |data: &str| json!({"type": "DATA", "data": {"type": "STDIN", "data": data}});
        assert_eq!(read(&data("aGk=")), Ok(Some(Input::Data(b"hi".into()))));
        assert_eq!(read(&data("")), Ok(Some(Input::End)));
        let size = json!({"type": "CONTROL", "control": {
            "type": "TTY_INFO", "tty_info": {"window_size": {"rows": 3, "columns": 4}},
        }});
        let expected = WindowSize { rows: 3, columns: 4 };
        assert_eq!(read(&size), Ok(Some(Input::WindowSize(expected))));
        let beat = json!({"type": "CONTROL", "control": {"type": "HEARTBEAT", "heartbeat": {}}});
        assert_eq!(read(&beat), Ok(None));
    }

    #[test]
    fn what_is_not_is_refused_by_name() {
        let size = |rows: u32| {
            json!({"type": "TTY_INFO", "tty_info": {
                "window_size": {"rows": rows, "columns": 1},
            }})
        };
        for (message, problem) in [
            (json!({}), "type is not set"),
            (json!({"type": "DATA"}), "data is not set"),
            (json!({"type": "DATA", "data": {"type": "STDOUT", "data": ""}}), "data.type is not"),
            (json!({"type": "DATA", "data": {"type": "STDIN"}}), "data.data is not set"),
            (json!({"type": "CONTROL"}), "control is not set"),
            (json!({"type": "CONTROL", "control": {}}), "control.type is not set"),
            (
                json!({"type": "CONTROL", "control": {"type": "TTY_INFO"}}),
                "control.tty_info.window_size is not set",
            ),
            (
                json!({"type": "CONTROL", "control": size(70_000)}),
                "control.tty_info.window_size.rows is more than 65535",
            ),
        ] {
            let refused = read(&message).unwrap_err();
            assert!(refused.starts_with(problem), "{refused}");
        }
    }
}
