//! The flags of isolators.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::ProjectRange;
use crate::image::Backends;
use crate::{BlockIo, CapabilitySet, IdRange};

/// Which isolators containers get, and what these are told. Flags of one isolator that is
/// not chosen have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// `--isolation`: names by Mesos' list, separated by commas, in any order. With a leading
    /// `-` one is left out that would be implied; empty, or with such only, it is the default.
    pub names: String,
    /// `--cgroups-enable-cfs`: CPUs are also a ceiling (CFS quota per 100 ms), not only a share.
    pub cfs_quota: bool,
    /// `--cgroups-limit-swap`: memory limits are for memory and swap together.
    pub limit_swap: bool,
    /// `--cgroups-pids-limit`: the most tasks (threads of all processes) in a container that
    /// has no limit of its own; 0 is no limit.
    pub pids_limit: u64,
    /// `--cgroups-blkio-weight`, `--cgroups-blkio-throttle`: what containers may do with block
    /// devices that have nothing of their own.
    pub block_io: BlockIo,
    /// `--disallow-sharing-agent-pid-namespace`: no task may see the agent's processes.
    pub disallow_sharing_pid_namespace: bool,
    /// `--disallow-sharing-agent-ipc-namespace`: no task may have the agent's IPC.
    pub disallow_sharing_ipc_namespace: bool,
    /// `--default-container-shm-size`: the size of a /dev/shm of which nobody says more, in
    /// bytes.
    pub shm_bytes: u64,
    /// `--user-namespaces`: a container's root is nobody of the host.
    pub user_namespaces: bool,
    /// `--user-namespaces-range`: who containers' users are then. `None` is what /etc/subuid and
    /// /etc/subgid say of `muster`, or of root.
    pub user_namespaces_range: Option<IdRange>,
    /// `--user-namespaces-size`: how many of them each container gets, none of which another has.
    pub user_namespaces_size: u32,
    /// `--effective-capabilities`: what root has in a container whose task does not say. `None`
    /// is what of Docker's is in the next.
    pub effective_capabilities: Option<CapabilitySet>,
    /// `--bounding-capabilities`: what no container has more than.
    pub bounding_capabilities: CapabilitySet,
    /// `--container-disk-watch-interval`: how often disk/du finds out what containers take.
    pub disk_watch_interval: Duration,
    /// `--enforce-container-disk-quota`: no container takes more disk space than it is promised.
    pub enforce_disk_quota: bool,
    /// `--xfs-project-range`: the projects that containers get on filesystems with project
    /// quotas.
    pub project_range: ProjectRange,
    /// `--xfs-kill-containers`: disk/xfs kills a container that takes too much.
    pub xfs_kill_containers: bool,
    /// `--nvidia-gpu-devices`: the GPUs that containers may have, by their minor numbers; `None`
    /// is all that there are.
    pub nvidia_gpu_devices: Option<BTreeSet<u32>>,
    /// `--nvidia-root`: below which the nodes and files of the NVIDIA driver are.
    pub nvidia_root: PathBuf,
    /// `--isolator-dir`: programs that are isolators, `external/<file name>`.
    pub isolator_dir: Option<PathBuf>,
    /// `--isolator-timeout`: how long each may take for a step.
    pub isolator_timeout: Duration,
    /// `--seccomp-config-dir`: where profiles of system calls are, Docker's JSON.
    pub seccomp_dir: Option<PathBuf>,
    /// `--seccomp-profile-name`: the one of these that a container has whose task does not say.
    /// `None` is Docker's default.
    pub seccomp_profile: Option<String>,
    /// `--image-provisioner-backend`: how root filesystems are made of images. Where nothing is
    /// said, by overlay where the file system of the image store can, and else by copy.
    pub image_backends: Backends,
}

impl Isolation {
    /// How many tasks a container may have unless somebody says otherwise.
    pub const PIDS_LIMIT: u64 = 4096;
    /// How large a /dev/shm is unless somebody says otherwise, in bytes: as in Docker.
    pub const SHM_BYTES: u64 = 64 << 20;
    /// How many users a container has unless somebody says otherwise.
    pub const USER_NAMESPACES_SIZE: u32 = 1 << 16;
    /// How often disk space is looked at unless somebody says otherwise: as in Mesos.
    pub const DISK_WATCH_INTERVAL: Duration = Duration::from_secs(15);
    /// How long a program may take for a step unless somebody says otherwise.
    pub const ISOLATOR_TIMEOUT: Duration = Duration::from_secs(30);
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            names: String::new(),
            cfs_quota: false,
            limit_swap: false,
            pids_limit: Self::PIDS_LIMIT,
            block_io: BlockIo::default(),
            disallow_sharing_pid_namespace: false,
            disallow_sharing_ipc_namespace: false,
            shm_bytes: Self::SHM_BYTES,
            user_namespaces: false,
            user_namespaces_range: None,
            user_namespaces_size: Self::USER_NAMESPACES_SIZE,
            effective_capabilities: None,
            bounding_capabilities: CapabilitySet::DOCKER,
            disk_watch_interval: Self::DISK_WATCH_INTERVAL,
            enforce_disk_quota: false,
            project_range: ProjectRange::default(),
            xfs_kill_containers: false,
            nvidia_gpu_devices: None,
            nvidia_root: "/".into(),
            isolator_dir: None,
            isolator_timeout: Self::ISOLATOR_TIMEOUT,
            seccomp_dir: None,
            seccomp_profile: None,
            image_backends: Backends::default(),
        }
    }
}
