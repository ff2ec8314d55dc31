//! A container's output, from the engine into its sandbox.
//!
//! The engine keeps all of it and gives it again from the start, each stream in order. So what is
//! in the sandbox, and what was rotated away there, says how much of it has come already: whoever
//! comes next skips that much, and nothing is lost or doubled. An engine that forgets what is old
//! is asked for times, too.

use std::io;
use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::models::HostConfigLogConfig;
use futures::StreamExt;
use muster_containerizer::{Logger, Rotation};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::sink::{Ledger, Sink, Which};
use super::supervision::{PAUSE, termination};
use super::{Inner, name};
use crate::checkpoint::Row;
use crate::engine::Engine;

/// Follows a container's output until it has ended.
pub(super) async fn follow(inner: Arc<Inner>, id: String, row: Row) {
    let (engine, name) = (inner.engine.clone(), name(&id));
    let mut ledger = Ledger::new(inner, id, row);
    loop {
        // What is asked before the last look at the output ends it.
        let over = match engine.inspect(&name).await {
            Ok(found) => {
                let over = termination(&found).is_some();
                let log = found.host_config.and_then(|host| host.log_config);
                let forgets = forgets(&log.unwrap_or_default());
                if let Err(error) = copy(&engine, &name, &mut ledger, forgets).await {
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

/// Whether the engine drops what is old of a container's output.
fn forgets(log: &HostConfigLogConfig) -> bool {
    let sized = log.config.as_ref().is_some_and(|options| options.contains_key("max-size"));
    // That driver always has a size.
    sized || log.typ.as_deref() == Some("local")
}

/// Copies what is not there yet, for as long as the engine gives it.
async fn copy(engine: &Engine, name: &str, ledger: &mut Ledger, timed: bool) -> io::Result<()> {
    let sandbox = ledger.row().sandbox.clone();
    let (stdout, stderr) = match ledger.row().logger {
        Logger::Sandbox => (Rotation::UNLIMITED, Rotation::UNLIMITED),
        Logger::Logrotate { stdout, stderr } => (stdout, stderr),
    };
    let mut open = |which, rotation| Sink::open(ledger, &sandbox, which, rotation, timed);
    let mut out = open(Which::Stdout, stdout)?;
    let mut err = open(Which::Stderr, stderr)?;
    let client = engine.client().map_err(lost)?;
    let since = seconds(out.after()).min(seconds(err.after()));
    let mut output = std::pin::pin!(Engine::logs(&client, name, since, timed));
    while let Some(part) = output.next().await {
        let (sink, message) = match part.map_err(lost)? {
            LogOutput::StdErr { message } => (&mut err, message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => (&mut out, message),
            LogOutput::StdIn { .. } => continue,
        };
        match stamped(&message).filter(|_| timed) {
            Some((time, part)) => sink.take_at(ledger, time, part),
            None => sink.take(ledger, &message),
        }
    }
    Ok(())
}

/// The time of a part, and the part itself.
fn stamped(message: &[u8]) -> Option<(&str, &[u8])> {
    let space = message.iter().position(|&byte| byte == b' ')?;
    let time = std::str::from_utf8(&message[..space]).ok()?;
    Some((time, &message[space + 1..]))
}

/// The second that a time is in, since 1970; 0 for none.
fn seconds(time: Option<&str>) -> i32 {
    let time = time.and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
    time.and_then(|time| i32::try_from(time.unix_timestamp()).ok()).unwrap_or_default()
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_with_its_time() {
        let time = "2026-01-01T00:00:07.000000002Z";
        let message = format!("{time} one two\n");
        assert_eq!(stamped(message.as_bytes()), Some((time, &b"one two\n"[..])));
        assert_eq!((seconds(Some(time)), seconds(Some("x")), seconds(None)), (1_767_225_607, 0, 0));
    }

    #[test]
    fn an_engine_forgets_by_driver_and_options() {
        let log = |typ: &str, options: &[&str]| HostConfigLogConfig {
            typ: Some(typ.to_owned()),
            config: Some(options.iter().map(|name| ((*name).to_owned(), String::new())).collect()),
        };
        assert!(!forgets(&log("json-file", &["tag"])) && !forgets(&HostConfigLogConfig::default()));
        assert!(forgets(&log("json-file", &["max-size"])) && forgets(&log("local", &[])));
    }
}
