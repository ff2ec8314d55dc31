//! System calls.

use libc::EPERM;

use super::{assert_only_open, world};

#[test]
fn mounts_cannot_be_made_changed_or_taken_away() {
    let Some(mut world) = world() else { return };
    assert_only_open(
        &mut world,
        &[
            ("mount-tmpfs", EPERM),
            ("mount-proc", EPERM),
            ("mount-cgroup-v1", EPERM),
            ("mount-cgroup-v2", EPERM),
            ("mount-bind", EPERM),
            ("mount-propagation", EPERM),
            ("remount-proc-sys", EPERM),
            ("remount-sys", EPERM),
            ("remount-with-devices", EPERM),
            ("open-tree", EPERM),
            ("fsopen", EPERM),
            ("fspick", EPERM),
            ("mount-setattr", EPERM),
            ("pivot-root", EPERM),
            ("unmount-mask", EPERM),
            ("unmount-proc-sys", EPERM),
        ],
    );
}

#[test]
fn namespaces_cannot_be_made_or_entered() {
    let Some(mut world) = world() else { return };
    assert_only_open(
        &mut world,
        &[
            ("unshare-user", EPERM),
            ("unshare-mount", EPERM),
            ("unshare-net", EPERM),
            ("clone-user", EPERM),
            ("setns", EPERM),
        ],
    );
}

#[test]
fn the_kernel_cannot_be_programmed_watched_or_replaced() {
    let Some(mut world) = world() else { return };
    assert_only_open(
        &mut world,
        &[
            ("bpf", EPERM),
            ("perf-event", EPERM),
            ("keyctl", EPERM),
            ("add-key", EPERM),
            ("request-key", EPERM),
            ("kexec", EPERM),
            ("kexec-file", EPERM),
            ("init-module", EPERM),
            ("finit-module", EPERM),
            ("delete-module", EPERM),
            ("reboot", EPERM),
            ("io-uring", EPERM),
            ("userfaultfd", EPERM),
        ],
    );
}

#[test]
fn the_machine_cannot_be_changed() {
    let Some(mut world) = world() else { return };
    assert_only_open(
        &mut world,
        &[
            ("swapon", EPERM),
            ("acct", EPERM),
            ("set-clock", EPERM),
            ("set-host-name", EPERM),
            ("io-ports", EPERM),
            ("kernel-log", EPERM),
            ("change-network", EPERM),
        ],
    );
}
