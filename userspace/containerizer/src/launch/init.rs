//! The child's part: from a fork of the helper to the container's command.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Gid, Uid, chownat};
use rustix::process::{
    DumpableBehavior, Signal, chdir, set_dumpable_behavior, set_parent_process_death_signal,
    setsid, umask,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::system::sethostname;

use super::identity::Identity;
use super::plan::{Namespace, Plan, Process};
use super::{command, limits, place, privileges, rootfs, seccomp, system};
use crate::SetupError;
use crate::error::Step as _;

/// A command's standard streams.
pub(super) struct Streams {
    /// Standard input.
    pub(super) input: File,
    /// Standard output.
    pub(super) output: File,
    /// Standard error.
    pub(super) errors: File,
}

/// Sets the container up from inside its new namespaces, waits for the helper's word, and
/// becomes its command: process 1, as in Docker.
pub(super) fn run(plan: &Plan, go: &OwnedFd) -> Result<Infallible, SetupError> {
    isolate_from_helper(&plan.process)?;
    let sandbox = File::open(&plan.sandbox).step(|| format!("open {}", plan.sandbox.display()))?;
    let owned = plan.owned.iter().map(|path| place::beneath(&plan.sandbox, path));
    let owned = owned.collect::<Result<Vec<_>, _>>()?;
    let streams = Streams {
        input: File::open("/dev/null").step(|| "open /dev/null".into())?,
        output: log(&plan.sandbox.join("stdout"))?,
        errors: log(&plan.sandbox.join("stderr"))?,
    };
    if let Some(name) = &plan.hostname {
        sethostname(name.as_bytes()).step(|| "sethostname".into())?;
    }
    if plan.namespaces.contains(&Namespace::Mount) {
        rootfs::enter(plan)?;
    }
    let identity = identity(&plan.process)?;
    if identity.uid != 0 || identity.gid != 0 {
        let mut files = vec![sandbox.as_fd(), streams.output.as_fd(), streams.errors.as_fd()];
        files.extend(owned.iter().map(OwnedFd::as_fd));
        for file in files {
            give(file, &identity)?;
        }
    }
    drop((sandbox, owned));
    become_command(&plan.process, &identity, &streams, go)
}

/// Makes `file`, of whatever kind it is open, `identity`'s.
fn give(file: BorrowedFd<'_>, identity: &Identity) -> Result<(), SetupError> {
    let (user, group) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    chownat(file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)
        .step(|| "chown the sandbox".into())
}

/// Leaves the helper's session and its habits. Until exec nobody may trace or look into
/// this process: it is still the helper's program, with descriptors of the host.
pub(super) fn isolate_from_helper(process: &Process) -> Result<(), SetupError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "prctl".into())?;
    setsid().step(|| "setsid".into())?;
    system::reset_signals()?;
    // An agent may be protected from the kernel's memory killer; its containers are not.
    let score = Path::new("/proc/self/oom_score_adj");
    let inherited = fs::read_to_string(score).step(|| format!("read {}", score.display()))?;
    let wanted = process.oom_score.unwrap_or(0).to_string();
    if process.oom_score.is_some() || inherited.starts_with('-') {
        fs::write(score, wanted).step(|| format!("write {}", score.display()))?;
    }
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(())
}

/// Who `process` runs as.
pub(super) fn identity(process: &Process) -> Result<Identity, SetupError> {
    Identity::find(&process.user).map_err(|reason| SetupError::new("find the user", reason))
}

/// The last steps, the same for a container's command and for one that joins it.
pub(super) fn become_command(
    process: &Process,
    identity: &Identity,
    streams: &Streams,
    go: &OwnedFd,
) -> Result<Infallible, SetupError> {
    let directory = &process.directory;
    let step = || format!("working directory {}", directory.display());
    fs::create_dir_all(directory).step(step)?;
    chdir(directory).step(step)?;
    let mut environment = process.environment.clone();
    if !environment.iter().any(|(name, _)| name == "HOME") {
        environment.push(("HOME".into(), identity.home.clone()));
    }
    await_word(go)?;
    limits::set(&process.rlimits)?;
    privileges::restrict(process, identity)?;
    // After the change of user, which clears it.
    set_parent_process_death_signal(Some(Signal::KILL)).step(|| "set the death signal".into())?;
    if hung_up(go)? {
        return Err(SetupError::new("set the death signal", "the helper has died"));
    }
    dup2_stdin(&streams.input).step(|| "dup stdin".into())?;
    dup2_stdout(&streams.output).step(|| "dup stdout".into())?;
    dup2_stderr(&streams.errors).step(|| "dup stderr".into())?;
    system::close_on_exec_from(3).step(|| "close_range".into())?;
    if let Some(filter) = &process.seccomp
        && process.no_new_privs
    {
        seccomp::install(filter)?;
    }
    command::execute(&process.argv, &environment)
}

/// Waits until this process is in all of the container's cgroups.
fn await_word(go: &OwnedFd) -> Result<(), SetupError> {
    let mut word = [0];
    let mut pipe = File::from(go.try_clone().step(|| "dup".into())?);
    match pipe.read(&mut word).step(|| "wait for the helper".into())? {
        0 => Err(SetupError::new("wait for the helper", "it has given up")),
        _ => Ok(()),
    }
}

/// Whether the helper, who holds the other end as long as it lives, is gone: it may have
/// died before it could be asked to be told.
fn hung_up(go: &OwnedFd) -> Result<bool, SetupError> {
    let mut fds = [PollFd::from_borrowed_fd(go.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).step(|| "poll the helper".into())?;
    Ok(fds[0].revents().contains(PollFlags::HUP))
}

/// A log in the sandbox. What is there already is kept; a link is not followed.
fn log(path: &Path) -> Result<File, SetupError> {
    let step = || format!("open {}", path.display());
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .step(step)?;
    let kind = file.metadata().step(step)?;
    if !kind.is_file() {
        return Err(SetupError::new(step(), "not a file"));
    }
    // Whatever the agent's umask: Mesos' mode for logs.
    file.set_permissions(fs::Permissions::from_mode(0o644)).step(step)?;
    Ok(file)
}
