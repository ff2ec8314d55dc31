//! System calls that would undo a container's walls, or act on the machine.

use std::mem::{size_of, zeroed};
use std::ptr::null;

use super::{Tried, called};

/// A cgroup program that allows everything: `r0 = 1; exit`.
const PROGRAM: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];

const BPF_PROG_LOAD: i64 = 5;
const BPF_PROG_TYPE_CGROUP_SKB: u32 = 8;

/// The attempt `name`, if it is one of these.
pub(super) fn attempt(name: &str) -> Option<Tried> {
    let mount = |source: *const i8, target: &std::ffi::CStr, kind: *const i8, flags: u64| {
        // SAFETY: all strings end and live as long as the program; others are null.
        called(i64::from(unsafe { libc::mount(source, target.as_ptr(), kind, flags, null()) }))
    };
    let unmount = |target: &std::ffi::CStr| {
        // SAFETY: the string ends and is there until the call returns.
        called(i64::from(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }))
    };
    let (tmpfs, cgroup, cgroup2) = (c"tmpfs".as_ptr(), c"cgroup".as_ptr(), c"cgroup2".as_ptr());
    Some(match name {
        "mount-tmpfs" => mount(tmpfs, c"/tmp", tmpfs, 0),
        "mount-proc" => mount(c"proc".as_ptr(), c"/tmp", c"proc".as_ptr(), 0),
        "mount-cgroup-v1" => mount(cgroup, c"/tmp", cgroup, 0),
        "mount-cgroup-v2" => mount(cgroup2, c"/tmp", cgroup2, 0),
        "mount-bind" => mount(c"/".as_ptr(), c"/tmp", null(), libc::MS_BIND | libc::MS_REC),
        "mount-propagation" => mount(null(), c"/", null(), libc::MS_SHARED | libc::MS_REC),
        "remount-proc-sys" => mount(null(), c"/proc/sys", null(), libc::MS_REMOUNT | libc::MS_BIND),
        "remount-sys" => mount(null(), c"/sys", null(), libc::MS_REMOUNT | libc::MS_BIND),
        "remount-with-devices" => mount(null(), c"/dev", null(), libc::MS_REMOUNT | libc::MS_BIND),
        "unmount-mask" => unmount(c"/proc/kcore"),
        "unmount-proc-sys" => unmount(c"/proc/sys"),
        "unmount-root" => unmount(c"/"),
        "open-tree" => call(libc::SYS_open_tree, [fd(libc::AT_FDCWD), path(c"/"), 1, 0, 0]),
        "fsopen" => call(libc::SYS_fsopen, [path(c"tmpfs"), 0, 0, 0, 0]),
        "fspick" => call(libc::SYS_fspick, [fd(libc::AT_FDCWD), path(c"/sys"), 0, 0, 0]),
        "mount-setattr" => {
            // `attr_set`, `attr_clr` = MOUNT_ATTR_RDONLY, `propagation`, `userns_fd`.
            let attributes: [u64; 4] = [0, 1, 0, 0];
            let (at, size) = (attributes.as_ptr() as i64, length(32));
            call(libc::SYS_mount_setattr, [fd(libc::AT_FDCWD), path(c"/sys"), 0, at, size])
        }
        "pivot-root" => call(libc::SYS_pivot_root, [path(c"/"), path(c"/"), 0, 0, 0]),
        "unshare-user" => call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]),
        "unshare-mount" => call(libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0, 0, 0]),
        "unshare-net" => call(libc::SYS_unshare, [libc::CLONE_NEWNET.into(), 0, 0, 0, 0]),
        "clone-user" => clone_user(),
        "setns" => {
            // SAFETY: the string ends; the result is checked by the next call.
            let own = unsafe { libc::open(c"/proc/self/ns/net".as_ptr(), libc::O_RDONLY) };
            call(libc::SYS_setns, [fd(own), 0, 0, 0, 0])
        }
        "bpf" => bpf(),
        "perf-event" => perf_event(),
        // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING, made if it is missing.
        "keyctl" => call(libc::SYS_keyctl, [0, -3, 1, 0, 0]),
        "add-key" => {
            call(libc::SYS_add_key, [path(c"user"), path(c"muster-test"), path(c"x"), 1, -2])
        }
        "request-key" => {
            call(libc::SYS_request_key, [path(c"user"), path(c"muster-test"), 0, -2, 0])
        }
        // Flags that no kernel knows: where this is let through, it does nothing.
        "kexec" => call(libc::SYS_kexec_load, [0, 0, 0, 0xffff, 0]),
        "kexec-file" => call(libc::SYS_kexec_file_load, [-1, -1, 0, 0, 0xffff]),
        "init-module" => call(libc::SYS_init_module, [0, 0, path(c""), 0, 0]),
        "finit-module" => call(libc::SYS_finit_module, [-1, path(c""), 0, 0, 0]),
        "delete-module" => call(libc::SYS_delete_module, [path(c"no-such-module"), 0, 0, 0, 0]),
        // Without the numbers that make it do anything.
        "reboot" => call(libc::SYS_reboot, [0, 0, 0, 0, 0]),
        "swapon" => call(libc::SYS_swapon, [path(c"/no-such-file"), 0, 0, 0, 0]),
        "acct" => call(libc::SYS_acct, [path(c"/no-such-file"), 0, 0, 0, 0]),
        "set-clock" => {
            // SAFETY: plain numbers, of which zero is one. Nanoseconds out of range.
            let mut time: libc::timespec = unsafe { zeroed() };
            time.tv_nsec = -1;
            call(libc::SYS_clock_settime, [0, (&raw const time) as i64, 0, 0, 0])
        }
        "set-host-name" => call(libc::SYS_sethostname, [path(c"taken"), 5, 0, 0, 0]),
        "io-ports" => call(libc::SYS_iopl, [3, 0, 0, 0, 0]),
        "kernel-log" => call(libc::SYS_syslog, [10, 0, 0, 0, 0]),
        "io-uring" => call(libc::SYS_io_uring_setup, [0, 0, 0, 0, 0]),
        "userfaultfd" => call(libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        "raise-limit" => {
            let limit = libc::rlimit { rlim_cur: 1, rlim_max: libc::RLIM_INFINITY };
            // SAFETY: the limit is there until the call returns.
            called(i64::from(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) }))
        }
        "change-network" => change_network(),
        _ => return None,
    })
}

fn call(number: i64, arguments: [i64; 5]) -> Tried {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: pointers among the arguments are of strings of the program, or of values that
    // the caller holds, as long as they say, and the kernel only reads them.
    called(unsafe { libc::syscall(number, first, second, third, fourth, fifth) })
}

fn path(text: &'static std::ffi::CStr) -> i64 {
    text.as_ptr() as i64
}

fn fd(number: i32) -> i64 {
    number.into()
}

fn length(bytes: u32) -> i64 {
    bytes.into()
}

/// By clone(2), which the filter looks into as it does into unshare(2).
fn clone_user() -> Tried {
    let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack this is fork(2), in a process of one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) }
    }
    called(pid)
}

fn bpf() -> Tried {
    let license = c"GPL";
    // The head of `union bpf_attr` for BPF_PROG_LOAD, as words of 64 bits.
    let (kind, count) = (u64::from(BPF_PROG_TYPE_CGROUP_SKB), 2_u64 << 32);
    let mut attributes = [0_u64; 16];
    attributes[0] = kind | count;
    attributes[1] = PROGRAM.as_ptr() as u64;
    attributes[2] = license.as_ptr() as u64;
    let (at, size) = (attributes.as_ptr() as i64, length(128));
    call(libc::SYS_bpf, [BPF_PROG_LOAD, at, size, 0, 0])
}

fn perf_event() -> Tried {
    // PERF_TYPE_SOFTWARE, its size, PERF_COUNT_SW_CPU_CLOCK; on any process of CPU 0.
    let mut attributes = [0_u64; 16];
    attributes[0] = 1 | (128 << 32);
    call(libc::SYS_perf_event_open, [attributes.as_ptr() as i64, -1, 0, -1, 0])
}

/// Takes `lo` of the host's network down and up, unless it may not. Where it may, the flags stay
/// what they are.
fn change_network() -> Tried {
    // SAFETY: makes a socket.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    called(socket.into())?;
    // SAFETY: plain numbers, of which zero is one.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    debug_assert_eq!(size_of::<libc::ifreq>(), 40);
    // SAFETY: the request is as long as the kernel takes it, and is written to.
    called(unsafe { libc::ioctl(socket, libc::SIOCGIFFLAGS, &raw mut request) }.into())?;
    // SAFETY: as before; it is only read.
    called(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw mut request) }.into())
}
