//! Programs that wait for what a container does.

use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::program::{command, line, memory, why};
use super::protocol::{Step, Watched};
use crate::Limitation;

/// How long after a failure it is run again.
const PAUSE: Duration = Duration::from_secs(10);

/// Runs the program as long as the container runs, and again if it fails. It has a standard
/// input that ends with the agent, or when the container has ended.
pub(super) async fn watch(
    name: &'static str,
    path: PathBuf,
    id: String,
    container: Value,
) -> Limitation {
    loop {
        match once(&path, &container).await {
            Ok(Watched { limitation: Some(limitation) }) => return limitation.into(),
            // It has nothing to wait for.
            Ok(Watched { limitation: None }) => return std::future::pending().await,
            Err(error) => tracing::warn!(id, isolator = name, %error, "its watch failed"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(path: &Path, container: &Value) -> io::Result<Watched> {
    let (mut answer, mut words) = (memory("answer")?, memory("words")?);
    let mut command = Command::from(command(path, Step::Watch));
    command
        .stdin(Stdio::piped())
        .stdout(answer.try_clone()?)
        .stderr(words.try_clone()?)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    // `wait` would close it.
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        let line = line(Step::Watch, json!({ "container": container }));
        match input.write_all(line.as_bytes()).await {
            // It does not want to know.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    let status = child.wait().await?;
    drop(input);
    if !status.success() {
        words.rewind()?;
        return Err(io::Error::other(why(status, &mut words)?));
    }
    answer.rewind()?;
    let text = io::read_to_string(answer)?;
    let text = if text.trim().is_empty() { "{}" } else { &text };
    Ok(serde_json::from_str(text)?)
}
