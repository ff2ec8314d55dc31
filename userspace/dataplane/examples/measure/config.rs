//! The data plane that is measured.

use std::{path::PathBuf, process};

use muster_dataplane::{Config, Forward, Policy, VipBackend, cgroup2_mount};

use crate::Failure;

/// An agent of this process' own, by eBPF.
pub(crate) fn config(forward: Forward) -> Result<Config, Failure> {
    let root = cgroup2_mount().ok_or("no cgroup v2 tree is mounted")?;
    let name = format!("muster-bench-{}", process::id());
    Ok(Config {
        agent: name.clone(),
        bpffs: PathBuf::from("/sys/fs/bpf"),
        cgroup: root.join(name),
        policy: Policy::default(),
        backend: VipBackend::Ebpf,
        forward,
    })
}
