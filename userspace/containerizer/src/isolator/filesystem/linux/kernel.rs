//! A container's /proc, /sys and /dev.

use std::path::Path;

use crate::Error;
use crate::isolator::Draft;
use crate::launch::plan::{Attributes, Mount};

/// The devices that every container has.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];
/// Links in /dev.
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Paths of /proc and /sys that tell of the host or act on it, and are hidden: Docker's.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Paths of /proc that may be read but not written: Docker's.
const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Mounts them. Every filesystem that a container can write to is mounted `nodev`, /dev too:
/// nodes that it makes itself (it may, with `CAP_MKNOD`) open nothing. The devices it is
/// given come as mounts of their own.
pub(super) fn interfaces(draft: &mut Draft) -> Result<(), Error> {
    draft.mount(Mount::new("proc", "/proc", Attributes::QUIET, ""))?;
    draft.mount(Mount::new("sysfs", "/sys", Attributes::QUIET.read_only(), ""))?;
    let dev = Path::new("/dev");
    draft.mount(Mount::new("tmpfs", dev, Attributes::DATA, "mode=755,size=65536k"))?;
    for name in DEVICES {
        draft.device(&dev.join(name))?;
    }
    for (name, target) in LINKS {
        draft.mount(Mount::link(target, dev.join(name)))?;
    }
    let options = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    draft.mount(Mount::new("devpts", dev.join("pts"), Attributes::DEVICE, options))?;
    for path in MASKED {
        draft.mask(path);
    }
    for path in READ_ONLY {
        draft.protect(path);
    }
    Ok(())
}
