//! Running long commands: their output goes to a log, its last line to the display.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, pipe};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use muster_harness::{command, interrupt, paths};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ui::Step;

/// How often it is looked whether a command is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How much of a failed command's output is shown.
const TAIL: usize = 30;

/// Runs `command` to its end.
///
/// Fails with the end of its output, and the log that has all of it, when it does not end with 0.
pub(crate) fn logged(step: &Step, log: &str, mut command: Command) -> Result<()> {
    let line = command::line(&command);
    let (path, mut file) = open_log(log)?;
    let (reader, writer) = pipe().context("pipe")?;
    let errors = writer.try_clone().context("dup")?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let mut child = command.spawn().with_context(|| format!("`{line}` can not be started"))?;
    // It holds the writing ends; without them the reader sees the end of the output.
    drop(command);

    writeln!(file, "$ {line}").with_context(|| path.display().to_string())?;
    let mut last = Vec::new();
    let follow = || -> Result<()> {
        for text in BufReader::new(reader).split(b'\n') {
            let text = text.context("read the output")?;
            let text = String::from_utf8_lossy(&text).into_owned();
            writeln!(file, "{text}").with_context(|| path.display().to_string())?;
            step.at(&text);
            last.push(text);
            if last.len() > TAIL {
                last.remove(0);
            }
        }
        Ok(())
    };
    interruptible(&child, follow)?;
    let status = child.wait().context("waitpid")?;
    interrupt::check()?;
    if !status.success() {
        bail!(
            "`{line}` ended with {status}:\n{}\n(all of it: {})",
            last.join("\n"),
            path.display()
        );
    }
    Ok(())
}

/// Runs `work`, which ends with `child`, and ends `child` when a signal asks us to end.
fn interruptible(child: &Child, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let pid = i32::try_from(child.id()).map(Pid::from_raw).context("pid")?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                if interrupt::pause(LOOK_EVERY).is_err() {
                    // Not yet waited for, so the pid is still its own.
                    let _ = kill(pid, Signal::SIGTERM);
                    return;
                }
            }
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        result
    })
}

/// Runs `command` with its output where ours goes.
pub(crate) fn shown(mut command: Command) -> Result<()> {
    let line = command::line(&command);
    let status = command.status().with_context(|| format!("`{line}` can not be started"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

fn open_log(name: &str) -> Result<(PathBuf, File)> {
    let directory = paths::target().join("xtask-logs");
    fs::create_dir_all(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
    let path = directory.join(format!("{name}.log"));
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Ui;

    #[test]
    fn a_failed_command_shows_its_last_words_and_its_log_has_all() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1 100; echo broken >&2; exit 2"]);
        let result = Ui::new(false).step("fail", |step| logged(step, "test-run", command));
        let error = result.unwrap_err().to_string();
        assert!(error.contains("status: 2") && error.contains("broken"), "{error}");
        assert!(!error.contains("\n1\n"), "{error}");
        let log = fs::read_to_string(paths::target().join("xtask-logs/test-run.log")).unwrap();
        assert!(log.contains("\n1\n") && log.contains("broken"), "{log}");
    }
}
