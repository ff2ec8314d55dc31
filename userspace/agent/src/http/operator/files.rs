//! `LIST_FILES` and `READ_FILE`.

use muster_api::mesos::agent::response::{ListFiles, ReadFile, Type as Kind};
use muster_api::mesos::agent::{Call, Response};

use super::super::call::Refusal;
use super::super::{Look, files};
use super::{needed, of};

/// What is in a directory.
pub(super) async fn list(look: Look, call: &Call) -> Result<Response, Refusal> {
    let path = &needed(call.list_files.as_ref(), "list_files")?.path;
    let file_infos = files::browsed(&look, path).await?;
    Ok(Response { list_files: Some(ListFiles { file_infos }), ..of(Kind::ListFiles) })
}

/// A part of a file.
pub(super) async fn read(look: Look, call: &Call) -> Result<Response, Refusal> {
    let asked = needed(call.read_file.as_ref(), "read_file")?;
    let (size, data) = files::bytes(&look, &asked.path, asked.offset, asked.length).await?;
    Ok(Response { read_file: Some(ReadFile { size, data }), ..of(Kind::ReadFile) })
}
