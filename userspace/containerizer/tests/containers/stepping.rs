//! An agent killed before each of the system calls by which a launch and a destroy change
//! anything, one after the other.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use muster_containerizer::{ImageBackend, Termination};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::image::{Layer, noise};
use super::pulls::{layout, of, plain};
use super::registry::{Options as RegistryOptions, Registry};
use super::world::{World, example};

const NOTHING: [PathBuf; 0] = [];
/// More than there are.
pub(crate) const POINTS_MAX: usize = 2000;

/// How many points are tried of those that are too many for a test.
const SAMPLE: usize = 16;

/// What comes of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was killed before this call.
    Killed(i64),
    /// It did all it had to do before its turn came, by so many changes of these kinds.
    Done(usize, BTreeSet<i64>),
}

/// Whether a call of the thread `thread` changes something outside of its process.
fn changes(thread: Pid, number: i64, arguments: [u64; 6]) -> bool {
    match number {
        libc::SYS_openat => arguments[2] & u64::from(libc::O_CREAT.cast_unsigned()) != 0,
        libc::SYS_write | libc::SYS_writev => {
            // A wake-up of a thread of its own is nothing.
            let file = std::fs::read_link(format!("/proc/{thread}/fd/{}", arguments[0]));
            file.is_ok_and(|file| !file.starts_with("anon_inode:[eventfd]"))
        }
        // What is asked of terminals, sockets and descriptors is nothing.
        libc::SYS_ioctl => {
            ![libc::FIONBIO, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ].contains(&arguments[1])
        }
        libc::SYS_mkdir
        | libc::SYS_mkdirat
        | libc::SYS_mknod
        | libc::SYS_mknodat
        | libc::SYS_symlink
        | libc::SYS_symlinkat
        | libc::SYS_link
        | libc::SYS_linkat
        | libc::SYS_rename
        | libc::SYS_renameat
        | libc::SYS_renameat2
        | libc::SYS_rmdir
        | libc::SYS_unlink
        | libc::SYS_unlinkat
        | libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_syncfs
        | libc::SYS_chmod
        | libc::SYS_fchmod
        | libc::SYS_fchmodat
        | libc::SYS_chown
        | libc::SYS_fchown
        | libc::SYS_lchown
        | libc::SYS_fchownat
        | libc::SYS_utimensat
        | libc::SYS_setxattr
        | libc::SYS_lsetxattr
        | libc::SYS_fsetxattr
        | libc::SYS_removexattr
        | libc::SYS_lremovexattr
        | libc::SYS_fremovexattr
        | libc::SYS_pwrite64
        | libc::SYS_pwritev
        | libc::SYS_pwritev2
        | libc::SYS_copy_file_range
        | libc::SYS_sendfile
        | libc::SYS_splice
        | libc::SYS_truncate
        | libc::SYS_ftruncate
        | libc::SYS_fallocate
        | libc::SYS_mount
        | libc::SYS_umount2
        | libc::SYS_move_mount
        | libc::SYS_mount_setattr
        | libc::SYS_quotactl
        | libc::SYS_quotactl_fd
        | libc::SYS_bind
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_kill
        | libc::SYS_pidfd_send_signal
        | libc::SYS_fork
        | libc::SYS_vfork
        | libc::SYS_clone
        | libc::SYS_clone3
        | libc::SYS_execve
        | libc::SYS_flock => true,
        _ => false,
    }
}

/// Runs an agent that does what `mode`, with its arguments, says; kills it before its `point`th
/// change.
pub(crate) fn run(world: &World, mode: &[&str], point: usize) -> End {
    let mut agent = Command::new(example("supervisor"));
    agent
        .args([&world.config.image_dir, &world.config.runtime_dir])
        .arg(&world.config.cgroups_root)
        .arg(&world.config.helper)
        .arg(world.work())
        .args(mode)
        .stdout(Stdio::null());
    // SAFETY: makes one system call, between fork and exec.
    unsafe { agent.pre_exec(|| Ok(ptrace::traceme()?)) };
    let agent = Pid::from_raw(agent.spawn().unwrap().id().cast_signed());
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    let (mut seen, mut kinds) = (0, BTreeSet::new());
    let mut started = false;
    let mut killed = None;
    loop {
        // All of its threads, and nothing that it forks; of other children of this process only one
        // test at a time can know, which nextest sees to.
        let status = waitpid(None, Some(WaitPidFlag::__WALL)).unwrap();
        let (thread, signal) = match status {
            WaitStatus::PtraceSyscall(thread) => {
                // One that is just being killed tells nothing more.
                let Ok(info) = ptrace::syscall_info(thread) else { continue };
                if killed.is_none() && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    // SAFETY: that is what is there on the entry of a call.
                    let call = unsafe { info.u.entry };
                    if changes(thread, call.nr.cast_signed(), call.args) {
                        seen += 1;
                        kinds.insert(call.nr.cast_signed());
                    }
                    if seen == point {
                        killed = Some(call.nr.cast_signed());
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
            // It is the last of its threads that is told of.
            WaitStatus::Exited(process, code) if process == agent => {
                assert_eq!(code, 0, "the agent has failed");
                return End::Done(seen, kinds);
            }
            WaitStatus::Signaled(process, ..) if process == agent => {
                return End::Killed(killed.expect("it was killed by somebody else"));
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

/// What the kill points have come to.
#[derive(Default)]
struct Tally {
    adopted: usize,
    lost: usize,
    calls: Vec<i64>,
}

/// Kills an agent at a point and has the next one recover: nothing is left. Whether the first
/// one had done all before.
fn step(world: &mut World, mode: &[&str], point: usize, tally: &mut Tally) -> bool {
    let mounted = mounts(world);
    world.stop();
    let end = run(world, mode, point);
    world.restart();
    let recovered = world.run(world.containerizer().recover()).unwrap();
    for container in &recovered {
        match container.termination {
            None => tally.adopted += 1,
            Some(Termination::Lost(_)) => tally.lost += 1,
            // It was being killed.
            Some(_) => {}
        }
    }
    // Those that are in another go with that.
    for container in recovered.iter().filter(|container| !container.id.contains('/')) {
        world.run(world.containerizer().destroy(&container.id)).unwrap();
    }
    assert_eq!(world.leftovers(), NOTHING, "killed at {point}: {end:?}");
    assert_eq!(sandboxes_of_commands(world), NOTHING, "killed at {point}: {end:?}");
    world.await_that("no process is left", || processes(world).is_empty());
    assert_eq!(mounts(world), mounted, "killed at {point}: {end:?}");
    match end {
        End::Killed(call) => tally.calls.push(call),
        End::Done(..) => assert_eq!(recovered, [], "it has destroyed them itself"),
    }
    matches!(end, End::Done(..))
}

impl Tally {
    fn check(&self, needed: &[i64]) {
        let (points, adopted, lost) = (self.calls.len(), self.adopted, self.lost);
        eprintln!("{points} points; adopted {adopted}, lost {lost}");
        assert!(adopted > 0 && lost > 0, "no end of one kind: {adopted}, {lost}");
        for needed in needed {
            assert!(self.calls.contains(needed), "call {needed} was never met with");
        }
    }
}

#[test]
fn an_agent_killed_at_every_step_leaves_nothing_for_good() {
    let Some(mut world) = World::new() else { return };
    // The image's layer is extracted by then, which is another story.
    world.output("c", "true");
    world.run(world.containerizer().destroy("c")).unwrap();
    let mut tally = Tally::default();
    for point in 1..POINTS_MAX {
        if step(&mut world, &["once"], point, &mut tally) {
            tally.check(&[libc::SYS_mkdir, libc::SYS_rename, libc::SYS_write, libc::SYS_rmdir]);
            return;
        }
    }
    panic!("it never comes to an end");
}

/// Some of `total` points, others with each seed, which is the process' id unless
/// `MUSTER_KILL_POINTS` says another; with that as `all`, all of them.
fn points(total: usize) -> Vec<usize> {
    let wanted = std::env::var("MUSTER_KILL_POINTS").ok();
    if wanted.as_deref() == Some("all") {
        return (1..=total).collect();
    }
    let seed = wanted.map_or(std::process::id() as usize, |seed| seed.parse().unwrap());
    let apart = (total / SAMPLE).max(1);
    eprintln!("{SAMPLE} of {total} points, MUSTER_KILL_POINTS={seed}");
    (1 + seed % apart..=total).step_by(apart).collect()
}

#[test]
fn nor_does_one_that_pulls_copies_and_fetches() {
    let Some(mut world) = World::new() else { return };
    let registry = Registry::start(RegistryOptions::default());
    for name in ["app", "data"] {
        registry.push(&layout(&world, name, &[noise(name, 300_000)]), "t", name, &[]);
    }
    world.pull_from(plain(&[&registry.host]));
    world.restart_with(|isolation| isolation.image_backends = ImageBackend::Copy.into());
    let given = world.directory.path().join("given.tar");
    let archive = Layer::new().directory("of", 0o755).file("of/given", 0o644, "given");
    std::fs::write(&given, archive.bytes()).unwrap();
    let images = ["app", "data"].map(|name| format!("{}/{name}", registry.host));
    let mode = ["whole", &images[0], &images[1], given.to_str().unwrap()];
    let End::Done(total, kinds) = run_alone(&mut world, &mode) else { panic!("it was killed") };
    assert!(total > 200, "{total}");
    for needed in [libc::SYS_symlinkat, libc::SYS_renameat, libc::SYS_fchownat, libc::SYS_flock] {
        assert!(kinds.contains(&needed), "call {needed} is none of {kinds:?}");
    }
    let mut tally = Tally::default();
    for point in points(total) {
        step(&mut world, &mode, point, &mut tally);
        // The store has whole images, or none.
        for (image, which) in images.iter().zip(["app", "data"]) {
            assert_eq!(world.finish(of("c", image, &world)).1, which, "killed at {point}");
            world.run(world.containerizer().destroy("c")).unwrap();
            std::fs::remove_dir_all(world.sandbox("c")).unwrap();
        }
        empty(&world);
    }
    tally.check(&[]);
}

/// Runs an agent to its end.
fn run_alone(world: &mut World, mode: &[&str]) -> End {
    empty(world);
    world.stop();
    let end = run(world, mode, usize::MAX);
    world.restart();
    empty(world);
    end
}

/// Removes all images that the store has pulled.
fn empty(world: &World) {
    world.containerizer().prune_images(&[]).unwrap();
    let blobs = world.config.image_dir.join(".registry/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).into_iter().flatten().count(), 0);
}
