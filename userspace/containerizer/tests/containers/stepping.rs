//! An agent killed before each of the system calls by which a launch and a destroy change
//! anything, one after the other.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use muster_containerizer::Termination;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::world::{World, example};

const NOTHING: [PathBuf; 0] = [];
/// More than there are.
pub(crate) const POINTS_MAX: usize = 2000;

/// What comes of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was killed before this call.
    Killed(i64),
    /// It did all it had to do before its turn came.
    Done,
}

/// Whether a call of the thread `thread` changes something outside of its process.
fn changes(thread: Pid, number: i64, arguments: [u64; 6]) -> bool {
    match number {
        libc::SYS_openat => arguments[2] & u64::from(libc::O_CREAT.cast_unsigned()) != 0,
        libc::SYS_write => {
            // A wake-up of a thread of its own is nothing.
            let file = std::fs::read_link(format!("/proc/{thread}/fd/{}", arguments[0]));
            file.is_ok_and(|file| !file.starts_with("anon_inode:[eventfd]"))
        }
        libc::SYS_mkdir
        | libc::SYS_mkdirat
        | libc::SYS_rename
        | libc::SYS_renameat
        | libc::SYS_renameat2
        | libc::SYS_rmdir
        | libc::SYS_unlink
        | libc::SYS_unlinkat
        | libc::SYS_fsync
        | libc::SYS_chmod
        | libc::SYS_fchmod
        | libc::SYS_chown
        | libc::SYS_fchown
        | libc::SYS_lchown
        | libc::SYS_fchownat
        | libc::SYS_sendmsg
        | libc::SYS_pidfd_send_signal
        | libc::SYS_clone
        | libc::SYS_clone3
        | libc::SYS_execve
        | libc::SYS_flock => true,
        _ => false,
    }
}

/// Runs an agent that does what `mode` says; kills it before its `point`th change.
pub(crate) fn run(world: &World, mode: &str, point: usize) -> End {
    let mut agent = Command::new(example("supervisor"));
    agent
        .args([&world.config.image_dir, &world.config.runtime_dir])
        .arg(&world.config.cgroups_root)
        .arg(&world.config.helper)
        .arg(world.work())
        .arg(mode)
        .stdout(Stdio::null());
    // SAFETY: makes one system call, between fork and exec.
    unsafe { agent.pre_exec(|| Ok(ptrace::traceme()?)) };
    let agent = Pid::from_raw(agent.spawn().unwrap().id().cast_signed());
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    let mut seen = 0;
    let mut started = false;
    let mut end = End::Done;
    loop {
        // All of its threads, and nothing that it forks.
        let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(nix::errno::Errno::ECHILD) => return end,
            status => status.unwrap(),
        };
        let (thread, signal) = match status {
            WaitStatus::PtraceSyscall(thread) => {
                // One that is just being killed tells nothing more.
                let Ok(info) = ptrace::syscall_info(thread) else { continue };
                if end == End::Done && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    // SAFETY: that is what is there on the entry of a call.
                    let call = unsafe { info.u.entry };
                    if changes(thread, call.nr.cast_signed(), call.args) {
                        seen += 1;
                    }
                    if seen == point {
                        end = End::Killed(call.nr.cast_signed());
                        nix::sys::signal::kill(agent, Signal::SIGKILL).unwrap();
                        continue;
                    }
                }
                (thread, None)
            }
            WaitStatus::Stopped(thread, Signal::SIGTRAP) if thread == agent && !started => {
                started = true;
                ptrace::setoptions(agent, options).unwrap();
                (thread, None)
            }
            // How a new thread begins, and who has made it goes on.
            WaitStatus::Stopped(thread, Signal::SIGSTOP) | WaitStatus::PtraceEvent(thread, ..) => {
                (thread, None)
            }
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::Exited(process, code) => {
                assert!(process != agent || code == 0, "the agent has failed with {code}");
                continue;
            }
            _ => continue,
        };
        // It may be dead by now.
        let _ = ptrace::syscall(thread, signal);
    }
}

/// Processes whose standard error is a file of `world`, or whose group is one of its: helpers
/// and containers.
fn processes(world: &World) -> Vec<PathBuf> {
    let root = format!("/{}/", world.config.cgroups_root);
    let ours = |process: &Path| {
        let errors = std::fs::read_link(process.join("fd/2"));
        let groups = std::fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        errors.is_ok_and(|errors| errors.starts_with(&world.config.runtime_dir))
            || groups.contains(&root)
    };
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.map(|entry| entry.path()).filter(|process| ours(process)).collect()
}

/// What is mounted in directories of `world`, out of its containers.
fn mounts(world: &World) -> Vec<String> {
    let own = world.directory.path().canonicalize().unwrap();
    let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = all.lines().filter(|line| line.contains(own.to_str().unwrap()));
    own.map(str::to_owned).collect()
}

/// Sandboxes of commands that agents ran in containers.
fn sandboxes_of_commands(world: &World) -> Vec<PathBuf> {
    let all = std::fs::read_dir(world.work()).unwrap().map(|entry| entry.unwrap().path());
    let nested = all.filter_map(|sandbox| std::fs::read_dir(sandbox.join("containers")).ok());
    let nested = nested.flatten().map(|entry| entry.unwrap().path());
    nested.filter(|path| path.file_name().unwrap() != "nested").collect()
}

#[test]
fn an_agent_killed_at_every_step_leaves_nothing_for_good() {
    let Some(mut world) = World::new() else { return };
    // The image's layer is extracted by then, which is another story.
    world.output("c", "true");
    world.run(world.containerizer().destroy("c")).unwrap();
    let mounted = mounts(&world);
    let (mut adopted, mut lost, mut calls) = (0, 0, Vec::new());
    for point in 1..POINTS_MAX {
        world.stop();
        let end = run(&world, "once", point);
        world.restart();
        let recovered = world.run(world.containerizer().recover()).unwrap();
        for container in &recovered {
            match container.termination {
                None => adopted += 1,
                Some(Termination::Lost(_)) => lost += 1,
                // It was being killed.
                Some(_) => {}
            }
        }
        // Those that are in another go with that.
        for container in recovered.iter().filter(|container| !container.id.contains('/')) {
            world.run(world.containerizer().destroy(&container.id)).unwrap();
        }
        assert_eq!(world.leftovers(), NOTHING, "killed at {point}: {end:?}");
        assert_eq!(sandboxes_of_commands(&world), NOTHING, "killed at {point}: {end:?}");
        world.await_that("no process is left", || processes(&world).is_empty());
        assert_eq!(mounts(&world), mounted, "killed at {point}: {end:?}");
        match end {
            End::Killed(call) => calls.push(call),
            End::Done => {
                assert_eq!(recovered, [], "it has destroyed them itself");
                eprintln!("{} points; adopted {adopted}, lost {lost}", calls.len());
                assert!(adopted > 0 && lost > 0, "no end of one kind: {adopted}, {lost}");
                for needed in [libc::SYS_mkdir, libc::SYS_rename, libc::SYS_write, libc::SYS_rmdir]
                {
                    assert!(calls.contains(&needed), "call {needed} was never met with");
                }
                return;
            }
        }
    }
    panic!("it never comes to an end");
}
