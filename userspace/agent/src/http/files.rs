//! `/files/…`: looking into sandboxes, as Mesos' web pages and command lines do.
//!
//! Paths are those that `/state` calls `directory`, and
//! `/frameworks/<id>/executors/<id>/runs/<container or latest>`.

mod listing;
mod open;
mod paths;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use muster_api::mesos::FileInfo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;

use super::{Look, call};
use open::{Opened, open};
use paths::Paths;

/// The most that is read at a time: Mesos' 16 pages.
const LENGTH_MAX: u64 = 16 * 4096;

/// What is asked for. Numbers are texts here, so that a wrong one is named.
#[derive(Deserialize)]
pub(super) struct Question {
    path: Option<String>,
    offset: Option<String>,
    length: Option<String>,
}

type Asked = Result<Query<Question>, QueryRejection>;

/// Why there is no answer.
#[derive(Debug)]
enum Refusal {
    /// The question makes no sense.
    Bad(String),
    /// There is no such file, or it is not to be seen.
    Missing,
    /// The system does not give it.
    Failed(io::Error),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
            Self::Missing => StatusCode::NOT_FOUND.into_response(),
            Self::Failed(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
            }
        }
    }
}

impl From<Refusal> for call::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Bad(reason) => call::bad_request(reason),
            Refusal::Missing => Self::new(StatusCode::NOT_FOUND, "there is no such file"),
            Refusal::Failed(error) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// What is in a directory.
pub(super) async fn browse(State(look): State<Look>, asked: Asked) -> Response {
    answer(look, asked, |_, path, opened| match opened {
        Opened::Directory(directory) => {
            let entries = listing::list(&path, &directory)?;
            Ok(Json(entries.iter().map(listing::show).collect::<Value>()).into_response())
        }
        Opened::File(_) => Err(Refusal::Bad("Cannot browse a file.\n".into())),
    })
    .await
}

/// A part of a file, as text.
pub(super) async fn read(State(look): State<Look>, asked: Asked) -> Response {
    answer(look, asked, |question, _, opened| {
        let offset = number("offset", question.offset.as_deref())?;
        let length = number("length", question.length.as_deref())?;
        match opened {
            Opened::File(file) => Ok(Json(part(&file, offset, length)?).into_response()),
            Opened::Directory(_) => Err(Refusal::Bad("Cannot read a directory.\n".into())),
        }
    })
    .await
}

/// A whole file, as it is.
pub(super) async fn download(State(look): State<Look>, asked: Asked) -> Response {
    answer(look, asked, |_, path, opened| match opened {
        Opened::File(file) => whole(&path, file),
        Opened::Directory(_) => Err(Refusal::Bad("Cannot download a directory.\n".into())),
    })
    .await
}

/// All directories that can be looked into, and where they are on this machine.
pub(super) async fn debug(State(look): State<Look>) -> Json<Value> {
    Json(json!(look.agent(|agent| Paths::of(agent).all())))
}

/// Finds the file that is asked for in a query, and has `show` make an answer of it.
async fn answer(
    look: Look,
    asked: Asked,
    show: impl FnOnce(Question, String, Opened) -> Result<Response, Refusal> + Send + 'static,
) -> Response {
    let mut question = match asked {
        Ok(Query(question)) => question,
        Err(error) => return (StatusCode::BAD_REQUEST, error.body_text()).into_response(),
    };
    let Some(path) = question.path.take().filter(|path| !path.is_empty()) else {
        return Refusal::Bad("Expecting 'path=value' in query.\n".into()).into_response();
    };
    let name = path.clone();
    let shown = with(&look, &path, move |opened| show(question, name, opened)).await;
    shown.unwrap_or_else(IntoResponse::into_response)
}

/// Finds a file, and has `show` make something of it where that may block.
async fn with<T: Send + 'static>(
    look: &Look,
    path: &str,
    show: impl FnOnce(Opened) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let found = look.agent(|agent| Paths::of(agent).resolve(path));
    let (sandbox, below) = found.ok_or(Refusal::Missing)?;
    let shown = spawn_blocking(move || show(open(&sandbox, &below)?)).await;
    shown.unwrap_or_else(|error| Err(Refusal::Failed(io::Error::other(error))))
}

/// The same directory for the operator API.
pub(super) async fn browsed(look: &Look, path: &str) -> Result<Vec<FileInfo>, call::Refusal> {
    let name = path.to_owned();
    let listed = with(look, path, move |opened| match opened {
        Opened::Directory(directory) => Ok(listing::list(&name, &directory)?),
        Opened::File(_) => Err(Refusal::Bad("Cannot browse a file.\n".into())),
    });
    Ok(listed.await?)
}

/// The size of a file, and a part of it as it is.
pub(super) async fn bytes(
    look: &Look,
    path: &str,
    offset: u64,
    length: Option<u64>,
) -> Result<(u64, Vec<u8>), call::Refusal> {
    let read = with(look, path, move |opened| match opened {
        Opened::File(file) => Ok((file.metadata()?.len(), piece(&file, offset, length)?)),
        Opened::Directory(_) => Err(Refusal::Bad("Cannot read a directory.\n".into())),
    });
    Ok(read.await?)
}

/// A number of at least 0; `None` is -1, or not given.
fn number(name: &str, text: Option<&str>) -> Result<Option<u64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| Refusal::Bad(format!("Negative {name} provided: {number}.\n"))),
        Err(error) => Err(Refusal::Bad(format!("Failed to parse {name}: '{text}': {error}.\n"))),
    }
}

/// Mesos' `{"data", "offset"}`: without an offset, or with one beyond the end, the size as the
/// offset and no data. Beyond Mesos, `length` is how many bytes the data were: characters that
/// are none are shown as U+FFFD. One that is cut at the end is left for the next time.
fn part(file: &File, offset: Option<u64>, length: Option<u64>) -> io::Result<Value> {
    let size = file.metadata()?.len();
    let Some(offset) = offset.filter(|offset| *offset < size) else {
        return Ok(json!({ "data": "", "offset": size, "length": 0 }));
    };
    let mut data = piece(file, offset, length)?;
    if let Err(error) = std::str::from_utf8(&data)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        data.truncate(error.valid_up_to());
    }
    let text = String::from_utf8_lossy(&data);
    Ok(json!({ "data": text, "offset": offset, "length": data.len() }))
}

/// At most [`LENGTH_MAX`] bytes of a file.
fn piece(file: &File, offset: u64, length: Option<u64>) -> io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let length = length.unwrap_or(LENGTH_MAX).min(LENGTH_MAX).min(left);
    let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut filled = 0;
    while filled < data.len() {
        match file.read_at(&mut data[filled..], offset + filled as u64) {
            // Exchanged or emptied meanwhile.
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    Ok(data)
}

/// The file as long as it is now, whatever is added meanwhile.
fn whole(path: &str, file: File) -> Result<Response, Refusal> {
    let size = file.metadata()?.len();
    let (sender, receiver) = mpsc::channel(4);
    spawn_blocking(move || {
        let mut file = file.take(size);
        loop {
            let mut piece = vec![0; usize::try_from(LENGTH_MAX).unwrap_or_default()];
            let read = file.read(&mut piece);
            let last = !matches!(read, Ok(1..));
            let piece = read.map(|length| {
                piece.truncate(length);
                Bytes::from(piece)
            });
            // Who asked may have gone.
            if matches!(&piece, Ok(bytes) if bytes.is_empty())
                || sender.blocking_send(piece).is_err()
                || last
            {
                return;
            }
        }
    });
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ';
    let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}
