//! The launch helper: one small process beside each container.
//!
//! The containerizer starts `<helper> launch` once, which forks a helper for each request
//! (`launch/nursery.rs`). A helper gets its order on standard input and answers on standard
//! output. It has a session of its own, survives the containerizer, waits for the container's
//! command, and leaves its exit status in the checkpoint. Should the helper be killed, the kernel
//! kills the container.

mod board;
mod command;
mod hold;
mod identity;
mod init;
mod join;
mod limits;
mod logs;
mod mounts;
pub(crate) mod nursery;
mod oom;
pub(crate) mod order;
mod ownership;
pub(crate) mod place;
pub(crate) mod plan;
mod privileges;
pub(crate) mod rootfs;
mod run;
mod seccomp;
mod secrets;
mod streams;
mod system;
mod terminal;
mod users;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdin, dup2_stdout};

use crate::SetupError;
use crate::error::Step as _;
use order::{Order, Report};
pub(crate) use place::{make_beneath, remove_beneath};

/// What `muster launch` does: starts helpers for the containerizer that started it, and is
/// each of them. The calling process must not have started a thread, because it is going to
/// fork. Returns when the containerizer has ended, or the helper's container.
///
/// Needs Linux 5.14 and root's capabilities.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is a file that the containerizer looks into; without it there
            // is nobody to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), SetupError> {
    let alone = system::SingleThreaded::check()?;
    // Away from the containerizer's terminal and its signals. It fails for a group leader,
    // that is for who runs this by hand.
    let _ = rustix::process::setsid();
    // It was started by a descriptor's number, which tells nobody anything.
    rustix::thread::set_name(c"muster-nursery").step(|| "prctl".into())?;
    if !nursery::serve(alone)? {
        return Ok(());
    }
    // Each container's processes have a terminal, and signals from it, of their own.
    rustix::process::setsid().step(|| "setsid".into())?;
    rustix::thread::set_name(c"muster-launch").step(|| "prctl".into())?;
    system::close_on_exec_from(3).step(|| "close_range".into())?;
    let Some(order) = Order::read(&mut io::stdin().lock())? else {
        // The containerizer died before it recorded this process: nothing has been done.
        return Ok(());
    };
    let answers = fcntl_dupfd_cloexec(io::stdout().as_fd(), 3).step(|| "dup stdout".into())?;
    let answers = Answers(File::from(answers));
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .step(|| "open /dev/null".into())?;
    dup2_stdout(&null).step(|| "dup stdout".into())?;
    dup2_stdin(&null).step(|| "dup stdin".into())?;
    run::run(&order.0, alone, answers)
}

/// A descriptor of the program at `path` through which nobody can write to it.
pub(crate) fn read_only_copy(path: &std::path::Path) -> Result<std::os::fd::OwnedFd, SetupError> {
    mounts::detached(path, false, libc::MOUNT_ATTR_RDONLY, 0)
}

/// The way back to the containerizer.
struct Answers(File);

impl Answers {
    /// Hangs up when nobody is there to hear any more.
    fn lifeline(&self) -> &File {
        &self.0
    }

    /// Sends one report.
    fn send(&mut self, report: &Report) {
        let line = serde_json::to_vec(report).map(|mut line| {
            line.push(b'\n');
            line
        });
        // A containerizer that is gone reads the checkpoint when it is back.
        let _ = line.map_err(io::Error::other).and_then(|line| self.0.write_all(&line));
    }
}
