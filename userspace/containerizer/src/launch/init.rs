//! The child's part: from a fork of the helper to the container's command.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    DumpableBehavior, Signal, chdir, fchdir, set_dumpable_behavior,
    set_parent_process_death_signal, setsid, umask,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::system::sethostname;

use super::identity::Identity;
use super::plan::{Namespace, Plan, Process};
use super::streams::{Ends, Logs, Streams};
use super::users::Users;
use super::{command, hold, join, limits, ownership, place, privileges, rootfs, seccomp, system};
use crate::SetupError;
use crate::cgroup::file;
use crate::error::Step as _;

/// Sets the container up from inside its new namespaces, waits for the helper's word, and
/// becomes its command: process 1, as in Docker.
pub(super) fn run(
    plan: &Plan,
    around: Option<&OwnedFd>,
    users: Option<&Users>,
    (ends, logs): (Ends, &Logs),
    go: &OwnedFd,
) -> Result<Infallible, SetupError> {
    isolate_from_helper(&plan.process)?;
    let sandbox = sandbox(plan)?;
    let owned = plan.owned.iter().map(|path| place::beneath(&plan.sandbox_top, path));
    let owned = owned.collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = &plan.hostname {
        sethostname(name.as_bytes()).step(|| "sethostname".into())?;
    }
    let secrets = if plan.namespaces.contains(&Namespace::Mount) {
        rootfs::enter(plan, around, users)?
    } else {
        if let Some(around) = around {
            join::files(around)?;
            chdir("/").step(|| "chdir /".into())?;
        }
        Vec::new()
    };
    let streams = Streams::open(ends, logs)?;
    let identity = identity(&plan.process)?;
    let owner = owner(plan, &identity)?;
    if owner.uid != 0 || owner.gid != 0 {
        let mut files = vec![sandbox.as_fd()];
        files.extend(
            [&logs.output, &logs.errors, &streams.output, &streams.errors].map(File::as_fd),
        );
        // What it has from the helper is its own; what there is nothing to read from is not.
        files.extend(plan.io.map(|_| streams.input.as_fd()));
        files.extend(owned.iter().map(OwnedFd::as_fd));
        files.extend(secrets.iter().map(File::as_fd));
        for file in files {
            ownership::give(file, &owner)?;
        }
        for path in &plan.fetched {
            ownership::give_all(sandbox.as_fd(), path, &owner)?;
        }
    }
    drop((sandbox, owned, secrets));
    if let Some(root) = plan.ids.and_then(|ids| ids.outside(0)) {
        make_directory(&plan.process.directory, root)?;
    }
    become_command(&plan.process, &identity, users, &streams, go)
}

/// The sandbox's directory, with no link of a container around this one on the way.
pub(super) fn sandbox(plan: &Plan) -> Result<OwnedFd, SetupError> {
    match plan.sandbox.strip_prefix(&plan.sandbox_top) {
        Ok(below) if !below.as_os_str().is_empty() => place::beneath(&plan.sandbox_top, below),
        _ => system::open_directory(&plan.sandbox)
            .step(|| format!("open {}", plan.sandbox.display())),
    }
}

/// Who `identity` is on the host.
fn owner(plan: &Plan, identity: &Identity) -> Result<Identity, SetupError> {
    let Some(ids) = plan.ids else { return Ok(identity.clone()) };
    let outside = |id: u32| {
        ids.outside(id).ok_or_else(|| {
            let reason = format!("{id} is none of the {} of --user-namespaces-size", ids.count());
            SetupError::new("find the user", reason)
        })
    };
    Ok(Identity { uid: outside(identity.uid)?, gid: outside(identity.gid)?, ..identity.clone() })
}

/// Makes the working directory, as far as it is missing, the container's root's: later it is
/// too late to make it as the host's, who may do so everywhere.
fn make_directory(directory: &Path, root: u32) -> Result<(), SetupError> {
    let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
    for path in missing.into_iter().rev() {
        let step = || format!("working directory {}", path.display());
        fs::create_dir(path).step(step)?;
        std::os::unix::fs::lchown(path, Some(root), Some(root)).step(step)?;
    }
    Ok(())
}

/// Leaves the helper's session and its habits. Until exec nobody may trace or look into
/// this process: it is still the helper's program, with descriptors of the host.
pub(super) fn isolate_from_helper(process: &Process) -> Result<(), SetupError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "prctl".into())?;
    setsid().step(|| "setsid".into())?;
    system::reset_signals()?;
    // An agent may be protected from the kernel's memory killer; its containers are not.
    let score = Path::new("/proc/self/oom_score_adj");
    let inherited = file::read(score)?;
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
    users: Option<&Users>,
    streams: &Streams,
    go: &OwnedFd,
) -> Result<Infallible, SetupError> {
    let directory = &process.directory;
    let step = || format!("working directory {}", directory.display());
    // Not through the kernel's links in /proc, which lead wherever a descriptor is open.
    fchdir(place::directory(directory)?).step(step)?;
    let mut environment = process.environment.clone();
    if !environment.iter().any(|(name, _)| name == "HOME") {
        environment.push(("HOME".into(), identity.home.clone()));
    }
    await_word(go)?;
    limits::set(&process.rlimits)?;
    if let Some(users) = users {
        users.enter()?;
    }
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
    if process.argv.is_empty() {
        return hold::hold();
    }
    if let Some(filter) = &process.seccomp
        && process.no_new_privs
    {
        seccomp::install(filter)?;
    }
    command::execute(&process.argv, &environment)
}

/// Waits until this process is in the container's checkpoint.
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
