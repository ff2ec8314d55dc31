//! Ways to files that are not the container's.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Tried, called};

/// Where a container can make files.
const WRITABLE: &[&str] = &["/", "/tmp", "/dev", "/dev/shm", "/mnt/mesos/sandbox"];

/// Longest file handle, in bytes.
const HANDLE_MAX: usize = 128;

/// What `name_to_handle_at(2)` fills in.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    opaque: [u8; HANDLE_MAX],
}

/// The attempt `name`, if it is one of these.
pub(super) fn attempt(name: &str, arguments: &[String]) -> Option<Tried> {
    let argument = arguments.first().map_or("", String::as_str);
    Some(match name {
        "write" => File::options().write(true).open(argument).and_then(|mut file| {
            file.write_all(b"\n")?;
            Ok(argument.to_owned())
        }),
        "read" => read(argument),
        "chroot-and-out" => chroot_and_out(argument),
        "through-proc" => through_proc(argument),
        "handle" => handle(argument),
        "device" => device(arguments),
        "descriptors" => descriptors(),
        "swap" => swap(arguments),
        "terminal" => File::open("/dev/tty").map(|_| "/dev/tty".to_owned()),
        "type-into-terminal" => {
            // SAFETY: the byte is there until the call returns.
            called(unsafe { libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()) }.into())
        }
        _ => return None,
    })
}

fn read(path: &str) -> Tried {
    let mut byte = [0];
    let count = File::open(path)?.read(&mut byte)?;
    Ok(format!("{count} of {path}"))
}

/// chroot(2) into a directory with a descriptor of one above it, and from there upward: nothing
/// of the kernel's stands in the way but what `/` was all along. Looks for `marker` there.
fn chroot_and_out(marker: &str) -> Tried {
    fs::create_dir_all("/tmp/cage")?;
    let above = File::open("/")?;
    std::os::unix::fs::chroot("/tmp/cage")?;
    // SAFETY: a descriptor that is open.
    called(unsafe { libc::fchdir(above.as_raw_fd()) }.into())?;
    for _ in 0..64 {
        std::env::set_current_dir("..")?;
    }
    std::os::unix::fs::chroot(".")?;
    read(marker)
}

/// Looks for `marker` below the root, the working directory and the descriptors of every process
/// that is in sight.
fn through_proc(marker: &str) -> Tried {
    let mut looked = 0;
    let mut last = io::Error::from_raw_os_error(libc::ENOENT);
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        if !process.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit()) {
            continue;
        }
        let mut ways = vec![process.join("root"), process.join("cwd")];
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        ways.extend(descriptors.filter_map(|entry| Some(entry.ok()?.path())));
        for way in ways {
            looked += 1;
            let up = format!("{}/{}{marker}", way.display(), "../".repeat(32));
            for path in [format!("{}{marker}", way.display()), up] {
                match read(&path) {
                    Ok(found) => return Ok(found),
                    Err(error) => last = error,
                }
            }
        }
    }
    // Without any way there is no attempt.
    if looked < 3 { Err(io::Error::other(format!("{looked} ways"))) } else { Err(last) }
}

/// Opens the root of the filesystem on which `path` is, by its handle (`open_by_handle_at(2)`):
/// of many filesystems it is well known what that is; here the kernel is asked for one.
fn handle(path: &str) -> Tried {
    let name = CString::new(path)?;
    let mut handle = Handle { bytes: 128, kind: 0, opaque: [0; HANDLE_MAX] };
    let mut mount = 0;
    // SAFETY: the name ends; the handle has room for as many bytes as it says.
    called(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            name.as_ptr(),
            &raw mut handle,
            &raw mut mount,
            0,
        )
    })?;
    let at = File::open(path)?;
    // SAFETY: the kernel only reads the handle, which it has just written.
    called(unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            at.as_raw_fd(),
            &raw const handle,
            libc::O_RDONLY,
        )
    })
}

/// Makes a node of a device, `KIND MAJOR MINOR`, everywhere, and opens it.
fn device(arguments: &[String]) -> Tried {
    let [kind, major, minor] = arguments else { return Err(io::Error::other("KIND MAJOR MINOR")) };
    let number = |text: &String| text.parse::<u32>().map_err(io::Error::other);
    let device = libc::makedev(number(major)?, number(minor)?);
    let mode = 0o600 | if kind == "b" { libc::S_IFBLK } else { libc::S_IFCHR };
    let mut last = io::Error::other("no node could be made");
    for directory in WRITABLE {
        let path = Path::new(directory).join("node");
        let name = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: the name ends and is there until the call returns.
        let made = called(unsafe { libc::mknod(name.as_ptr(), mode, device) }.into());
        if made.is_err() {
            continue;
        }
        let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        fs::remove_file(&path)?;
        match opened {
            Ok(_) => return Ok(path.display().to_string()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is open here, but for the directory in which that is listed.
fn descriptors() -> Tried {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if !target.starts_with("/proc") {
            open.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    open.sort();
    Ok(open.join(","))
}

/// Has two paths change places for ever, `ONE OTHER`, whenever both are there (`renameat2(2)`).
///
/// In bursts, with rests of every length between them: who looks at them several times finds
/// them changed in between, and the slowest finds each state now and then for all of his looks.
/// Bursts and lengths are odd in number, so that each length meets both states in turn.
#[expect(clippy::disallowed_methods, reason = "a process that does nothing else")]
fn swap(arguments: &[String]) -> Tried {
    let [one, other] = arguments else { return Err(io::Error::other("ONE OTHER")) };
    let (one, other) = (CString::new(one.as_str())?, CString::new(other.as_str())?);
    for rest in (0..9).cycle().map(|power| Duration::from_millis(1 << power)) {
        for _ in 0..1001 {
            // SAFETY: both names end and are there until the call returns.
            let swapped = called(unsafe {
                libc::syscall(
                    libc::SYS_renameat2,
                    libc::AT_FDCWD,
                    one.as_ptr(),
                    libc::AT_FDCWD,
                    other.as_ptr(),
                    libc::RENAME_EXCHANGE,
                )
            });
            match swapped {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        thread::sleep(rest);
    }
    unreachable!("a cycle does not end");
}
