//! The machine, in QEMU without any acceleration: it runs wherever this runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use muster_harness::interrupt;

use super::debian::Kernel;
use super::disk::Disk;
use crate::setup;
use crate::ui::Ui;

/// Memory of the machine, in MB.
const MEMORY: &str = "1536";

/// What its kernel is told. On a busy machine it finds the processor's clock slower than it is by up to
/// five times, its own clock then goes that much too fast, and tests run out of time: the HPET's pace is given.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet mitigations=off tsc=reliable \
                            clocksource=hpet no_timer_check";

/// Longest silence; the machine itself ends a test sooner.
const PATIENCE: Duration = Duration::from_mins(40);

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A running machine, which ends with this.
pub(super) struct Guest {
    child: Child,
    lines: Receiver<String>,
    /// Names of the tests that run.
    running: BTreeSet<String>,
}

/// How a test ended.
#[derive(Debug)]
pub(super) struct Outcome {
    name: String,
    /// Its exit status, or what came in its place.
    status: String,
    seconds: u64,
    /// Why it did not do what it is for.
    skipped: Option<String>,
    /// The end of its output, if it failed.
    output: Vec<String>,
}

impl Guest {
    pub(super) fn start(kernel: &Kernel, disk: &Disk) -> Result<Self> {
        interrupt::install()?;
        let qemu = setup::find("qemu-system-x86_64").context("qemu-system-x86_64 is missing")?;
        let mut command = Command::new(qemu);
        command.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-M", "pc", "-smp", "2"]);
        command.args(["-m", MEMORY, "-display", "none", "-no-reboot", "-nodefaults"]);
        command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(&disk.initrd);
        command.args(["-append", COMMAND_LINE]);
        let drive = format!("file={},if=virtio,format=raw,cache=unsafe", disk.image.display());
        let console = format!("file:{}", disk.console.display());
        command.args(["-drive", &drive, "-serial", &console, "-serial", "stdio"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // So that what it said last time is not taken for its own.
        File::create(&disk.console).with_context(|| format!("open {}", disk.console.display()))?;
        let mut child = command.spawn().context("start qemu-system-x86_64")?;
        let output = child.stdout.take().context("no pipe from qemu-system-x86_64")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, running: BTreeSet::new() })
    }

    /// How the next test ended; `None` when the machine has ended.
    pub(super) fn next(&mut self) -> Result<Option<Outcome>> {
        let mut name = String::new();
        let mut output = Vec::new();
        while let Some(line) = self.line()? {
            if let Some(test) = line.strip_prefix("begun ") {
                self.running.insert(test.to_owned());
            } else if let Some(test) = line.strip_prefix("test ") {
                test.clone_into(&mut name);
                self.running.remove(test);
            } else if let Some(text) = line.strip_prefix("| ") {
                output.push(text.to_owned());
            } else if let Some(ended) = line.strip_prefix("ended ") {
                return Outcome::read(name, ended, output).map(Some);
            }
        }
        let told = Some(name).filter(|name| !name.is_empty());
        let interrupted = told.or_else(|| self.running.pop_first());
        Ok(interrupted.map(|name| Outcome {
            name,
            status: "the machine ended".into(),
            seconds: 0,
            skipped: None,
            output,
        }))
    }

    fn line(&self) -> Result<Option<String>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => interrupt::check()?,
            }
            if Instant::now() > deadline {
                let running = self.running.iter().cloned().collect::<Vec<_>>().join(", ");
                bail!("the machine has said nothing for {} s, in {running}", PATIENCE.as_secs());
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// Of `STATUS SECONDS WHY-SKIPPED`.
    fn read(name: String, ended: &str, output: Vec<String>) -> Result<Self> {
        let mut words = ended.splitn(3, ' ');
        let status = words.next().unwrap_or_default().to_owned();
        let seconds = words.next().and_then(|word| word.parse().ok());
        let seconds = seconds.with_context(|| format!("the machine says {ended:?} of {name}"))?;
        let skipped = words.next().map(str::trim).filter(|reason| !reason.is_empty());
        Ok(Self { name, status, seconds, skipped: skipped.map(str::to_owned), output })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn failed(&self) -> bool {
        self.status != "0"
    }

    pub(super) fn skipped(&self) -> bool {
        !self.failed() && self.skipped.is_some()
    }

    pub(super) fn show(&self, ui: Ui) {
        let (name, seconds) = (&self.name, self.seconds);
        match &self.skipped {
            _ if self.failed() => {
                let output = self.output.join("\n    ");
                ui.say(format_args!("✗ {name} ({seconds} s): {}\n    {output}", self.ending()));
            }
            Some(reason) => ui.say(format_args!("- {name} ({seconds} s): skipped: {reason}")),
            None => ui.say(format_args!("✓ {name} ({seconds} s)")),
        }
    }

    fn ending(&self) -> String {
        match self.status.as_str() {
            "137" => "took too long".to_owned(),
            "did-not-run" => "there is no such test".to_owned(),
            status if status.parse::<u32>().is_ok() => format!("ended with status {status}"),
            other => other.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_as_the_machine_says_them() {
        let read = |ended: &str| Outcome::read("t".into(), ended, Vec::new());
        let passed = read("0 3 ").unwrap();
        assert!(!passed.failed() && !passed.skipped() && passed.seconds == 3);
        let skipped = read("0 0 needs root").unwrap();
        assert!(skipped.skipped() && !skipped.failed());
        let failed = read("101 2 ").unwrap();
        assert!(failed.failed() && failed.ending() == "ended with status 101");
        assert!(read("did-not-run 0 ").unwrap().failed());
        assert!(read("0 soon").is_err());
    }
}
