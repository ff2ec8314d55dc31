//! A master or an agent as a process.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::command;
use crate::error::{Error, Result};
use crate::netns::NetNs;
use crate::wait::{eventually_regardless, ready};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// How many last lines of a log are shown.
const TAIL: usize = 40;

/// A process on a machine that can be killed and started again.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    netns: NetNs,
    cgroup: Cgroup,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Describes a process; [`Daemon::start`] starts it. Its output goes to the end of `log`.
    pub fn new(
        name: &str,
        program: &Path,
        arguments: Vec<String>,
        netns: NetNs,
        cgroup: Cgroup,
        log: PathBuf,
    ) -> Self {
        let (name, program) = (name.to_owned(), program.to_owned());
        Self { name, program, arguments, netns, cgroup, log, child: None }
    }

    /// The same program on the same machine with the same flags, not started, with a log of its
    /// own: to start it wrongly.
    #[must_use]
    pub fn another(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            netns: self.netns.clone(),
            cgroup: self.cgroup.clone(),
            log: self.log.with_file_name(format!("{name}.log")),
            child: None,
        }
    }

    /// Gives the flag `name` another value, or adds it, for the next start.
    pub fn set_flag(&mut self, name: &str, value: impl Display) {
        let position = self.arguments.iter().position(|argument| argument == name);
        if let Some(slot) = position.and_then(|position| self.arguments.get_mut(position + 1)) {
            *slot = value.to_string();
        } else {
            self.arguments.extend([name.to_owned(), value.to_string()]);
        }
    }

    /// Makes the next start run shell commands first, in a mount namespace of their own.
    pub fn run_first(&mut self, commands: &str) {
        let program = std::mem::replace(&mut self.program, PathBuf::from("unshare"));
        let mut arguments = vec!["--mount".to_owned(), "sh".to_owned(), "-c".to_owned()];
        arguments.push(format!("{commands} && exec \"$0\" \"$@\""));
        arguments.push(program.display().to_string());
        arguments.append(&mut self.arguments);
        self.arguments = arguments;
    }

    /// Starts it unless it runs.
    ///
    /// # Errors
    /// [`Error::Command`] when it can not be started; [`Error::System`] on the way there.
    pub fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = self.command(&[])?;
        let line = command::line(&command);
        let child = command.spawn().map_err(|error| command::cannot_start(&line, &error))?;
        self.child = Some(child);
        Ok(())
    }

    /// Runs the same program with its arguments and `more` to its end.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not end with 0, with the end of its log.
    pub fn run_with(&self, more: &[&str]) -> Result<()> {
        let mut command = self.command(more)?;
        let line = command::line(&command);
        let status = command.status().map_err(|error| command::cannot_start(&line, &error))?;
        if status.success() {
            return Ok(());
        }
        let outcome = format!("ended with {status}; the end of its log:\n{}", self.tail());
        Err(Error::Command { command: line, outcome })
    }

    fn command(&self, more: &[&str]) -> Result<Command> {
        let log = self.open_log()?;
        let errors =
            log.try_clone().map_err(Error::system("dup", self.log.display().to_string()))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(more);
        // The caller's own settings have no place in a test: they would be flags here.
        let ours =
            |key: &OsStr| key.to_string_lossy().starts_with("MUSTER_") && key != "MUSTER_LOG";
        for (key, _) in env::vars_os().filter(|(key, _)| ours(key)) {
            command.env_remove(key);
        }
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // Ctrl-C is for the harness, which then ends its daemons in order.
        command.process_group(0);
        self.netns.place(&mut command)?;
        self.cgroup.place(&mut command)?;
        Ok(command)
    }

    fn open_log(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(Error::system("open", self.log.display().to_string()))
    }

    /// Its pid while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// [`Error::Died`] with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Error::Died {
                process: self.name.clone(),
                status: status.to_string(),
                log: self.log.clone(),
                tail: self.tail(),
            }),
        }
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        crate::wait::eventually(what, limit, || match self.try_wait()? {
            Some(status) => Ok(status),
            None => Err(Error::NotYet("it runs".into())),
        })
    }

    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait().map_err(Error::system("waitpid", &self.name))?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// Ends it at once with SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().map_err(Error::system("kill", &self.name))?;
        child.wait().map_err(Error::system("waitpid", &self.name))?;
        Ok(())
    }

    /// Ends it with SIGTERM, and with SIGKILL when it takes longer than ten seconds.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            match kill(Pid::from_raw(pid), Signal::SIGTERM) {
                Ok(()) | Err(nix::Error::ESRCH) => {}
                Err(errno) => return Err(Error::system("kill", &self.name)(errno)),
            }
        }
        let ended = eventually_regardless("the end", GRACE, || {
            let ended = self.child.is_none() || self.try_wait()?.is_some();
            ready(ended, || "it runs".into())
        });
        match ended {
            Err(Error::Timeout { .. }) => self.kill(),
            other => other,
        }
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        tail(&self.log, TAIL)
    }

    /// Everything in its log.
    ///
    /// # Errors
    /// [`Error::System`] when it can not be read.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).map_err(Error::system("read", self.log.display().to_string()))
    }
}

/// The last `lines` lines of a file, or why it can not be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}
