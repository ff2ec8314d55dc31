//! A container's output, from the engine into its sandbox.
//!
//! The engine keeps all of it and gives it again from the start, each stream in order. So the
//! length of the sandbox's file says how much of it is there already: whoever comes next skips
//! that much, and nothing is lost or doubled.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bollard::container::LogOutput;
use futures::StreamExt;

use super::supervision::{PAUSE, termination};
use crate::engine::Engine;

/// Follows a container's output until it has ended.
pub(super) async fn follow(engine: Engine, name: String, sandbox: PathBuf) {
    loop {
        // What is asked before the last look at the output ends it.
        let over = match engine.inspect(&name).await {
            Ok(found) => {
                let over = termination(&found).is_some();
                let options = found.host_config.and_then(|host| host.log_config);
                let options = options.and_then(|log| log.config).unwrap_or_default();
                let rotated = options.contains_key("max-size");
                if let Err(error) = copy(&engine, &name, &sandbox, rotated).await {
                    tracing::warn!(container = name, %error, "cannot copy a container's output");
                    // The same again would come to the same.
                    if over || error.kind() != io::ErrorKind::ConnectionReset {
                        return;
                    }
                }
                over
            }
            Err(error) => error.is_missing(),
        };
        if over {
            return;
        }
        tokio::time::sleep(PAUSE / 10).await;
    }
}

/// Copies what is not there yet, for as long as the engine gives it.
async fn copy(engine: &Engine, name: &str, sandbox: &Path, rotated: bool) -> io::Result<()> {
    let mut out = Sink::open(&sandbox.join("stdout"), rotated)?;
    let mut err = Sink::open(&sandbox.join("stderr"), rotated)?;
    let client = engine.client().map_err(lost)?;
    let since = out.since.max(err.since);
    let mut output = std::pin::pin!(Engine::logs(&client, name, since));
    while let Some(part) = output.next().await {
        match part.map_err(lost)? {
            LogOutput::StdErr { message } => err.write(&message)?,
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                out.write(&message)?;
            }
            LogOutput::StdIn { .. } => {}
        }
    }
    Ok(())
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

/// A file of the sandbox.
struct Sink {
    file: File,
    /// How much of what comes is there already.
    skip: u64,
    /// Second of the last write, where the engine may have dropped what was before.
    since: i32,
}

impl Sink {
    fn open(path: &Path, rotated: bool) -> io::Result<Self> {
        // The task can put anything here, so no link is followed, and nothing but a file is
        // written to.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o644)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let problem = format!("{} is no regular file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        if !rotated || metadata.len() == 0 {
            return Ok(Self { file, skip: metadata.len(), since: 0 });
        }
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = i32::try_from(modified.as_secs()).unwrap_or(i32::MAX);
        Ok(Self { file, skip: 0, since })
    }

    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(message.len());
        self.skip -= skipped as u64;
        self.file.write_all(&message[skipped..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout");
        Sink::open(&path, false).unwrap().write(b"one\ntw").unwrap();
        let mut sink = Sink::open(&path, false).unwrap();
        for part in [&b"one\n"[..], b"two\n", b"three\n"] {
            sink.write(part).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_link_of_the_tasks_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("stdout"), directory.path().join("victim"));
        std::fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(Sink::open(&path, false).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Sink::open(&path, false).is_err());
    }
}
