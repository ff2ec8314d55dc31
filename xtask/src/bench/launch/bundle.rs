//! What an OCI runtime is told, so that its container is like one of Muster's: the OCI runtime
//! specification's `config.json`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use muster_harness::paths;
use serde_json::{Value, json};

use crate::bench::site::Site;

/// Docker's profile, as Muster has it.
const PROFILE: &str = "userspace/containerizer/src/seccomp/default.json";
/// Docker's default.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The root filesystem that Muster has extracted for `busybox`: its one layer.
pub(super) fn root() -> Result<PathBuf> {
    let layers = paths::images().join(".layers/sha256");
    let busybox = |directory: &PathBuf| directory.join("bin/true").symlink_metadata().is_ok();
    let entries = fs::read_dir(&layers).with_context(|| format!("open {}", layers.display()))?;
    let mut directories = entries.filter_map(|entry| Some(entry.ok()?.path()));
    directories.find(busybox).context("the image `busybox` has not been extracted")
}

/// Makes a bundle whose root filesystem is still to be mounted at `rootfs`.
pub(super) fn make(site: &Site, name: &str) -> Result<PathBuf> {
    let bundle = site.directory(name)?;
    for directory in ["rootfs", "upper", "work", "state"] {
        let path = bundle.join(directory);
        fs::create_dir(&path).with_context(|| format!("mkdir {}", path.display()))?;
    }
    let path = bundle.join("config.json");
    let text = configuration(&format!("/{}-{name}", site.name("bundle")))?.to_string();
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(bundle)
}

fn configuration(cgroup: &str) -> Result<Value> {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let quiet = ["nosuid", "noexec", "nodev"];
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/bin/true"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": CAPABILITIES,
                "effective": CAPABILITIES,
                "permitted": CAPABILITIES,
            },
        },
        "root": { "path": "rootfs" },
        "hostname": "bench",
        "mounts": [
            mount("/proc", "proc", &quiet),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/dev", "tmpfs", &["nosuid", "mode=755", "size=65536k"]),
            mount(
                "/dev/pts",
                "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &quiet),
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {
                "cpu": { "shares": 1024, "quota": 100_000, "period": 100_000 },
                "memory": { "limit": 64 << 20 },
                "pids": { "limit": 1024 },
            },
            "namespaces": [
                { "type": "mount" },
                { "type": "pid" },
                { "type": "uts" },
                { "type": "ipc" },
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
                "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
            ],
            "seccomp": seccomp()?,
        },
    }))
}

/// Docker's profile, resolved for this architecture and the capabilities above.
fn seccomp() -> Result<Value> {
    let path = paths::repository().join(PROFILE);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let profile: Value = serde_json::from_str(&text)?;
    let words = |rule: &Value, when: &str, what: &str| -> Vec<String> {
        let list = rule[when][what].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let has = |name: &String| CAPABILITIES.contains(&name.as_str());
    let rules = profile["syscalls"].as_array().context("a profile has rules")?;
    let rules: Vec<Value> = rules
        .iter()
        .filter(|rule| {
            let architectures = words(rule, "includes", "arches");
            (architectures.is_empty() || architectures.iter().any(|name| name == "amd64"))
                && words(rule, "includes", "caps").iter().all(has)
                && !words(rule, "excludes", "caps").iter().any(has)
                && !words(rule, "excludes", "arches").iter().any(|name| name == "amd64")
        })
        .cloned()
        .map(|mut rule| {
            if let Some(fields) = rule.as_object_mut() {
                fields.retain(|name, _| {
                    matches!(name.as_str(), "names" | "action" | "args" | "errnoRet")
                });
            }
            rule
        })
        .collect();
    Ok(json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }))
}
