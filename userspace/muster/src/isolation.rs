//! Flags of isolators: what containers get.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use muster_containerizer::{
    BlockIo, CapabilitySet, IdRange, ImageBackends, Isolation, ProjectRange, Throttle,
};

use crate::{bytes, duration};

#[derive(Debug, Args)]
pub(crate) struct IsolationFlags {
    /// What keeps containers apart, by Mesos' names, in any order: see docs/containers.md. A
    /// name with a leading "-" is left out of what is there by default.
    #[arg(long, env = "MUSTER_ISOLATION", default_value = "", allow_hyphen_values = true)]
    isolation: String,
    /// Makes CPUs a ceiling, not only a share.
    #[arg(long, env = "MUSTER_CGROUPS_ENABLE_CFS")]
    cgroups_enable_cfs: bool,
    /// Limits memory and swap together.
    #[arg(long, env = "MUSTER_CGROUPS_LIMIT_SWAP")]
    cgroups_limit_swap: bool,
    /// The most tasks (threads of all processes) in a container that has no limit of its own;
    /// 0 is no limit.
    #[arg(long, env = "MUSTER_CGROUPS_PIDS_LIMIT", default_value_t = Isolation::PIDS_LIMIT)]
    cgroups_pids_limit: u64,
    /// Share of block devices that a container has, 1 to 1000. Needs cgroups/blkio.
    #[arg(
        long,
        env = "MUSTER_CGROUPS_BLKIO_WEIGHT",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    cgroups_blkio_weight: Option<u16>,
    /// Limit of what a container does with a block device, "8:0 rbps=1048576 wiops=100" (also
    /// wbps, riops). May be repeated. Needs cgroups/blkio.
    #[arg(long, env = "MUSTER_CGROUPS_BLKIO_THROTTLE", value_delimiter = ',')]
    cgroups_blkio_throttle: Vec<Throttle>,
    /// No task may see the agent's processes.
    #[arg(long, env = "MUSTER_DISALLOW_SHARING_AGENT_PID_NAMESPACE")]
    disallow_sharing_agent_pid_namespace: bool,
    /// No task may have the agent's System V IPC, message queues and /dev/shm.
    #[arg(long, env = "MUSTER_DISALLOW_SHARING_AGENT_IPC_NAMESPACE")]
    disallow_sharing_agent_ipc_namespace: bool,
    /// Size of a task's own /dev/shm.
    #[arg(
        long,
        env = "MUSTER_DEFAULT_CONTAINER_SHM_SIZE",
        default_value = "64MB",
        value_parser = bytes::parse
    )]
    default_container_shm_size: u64,
    /// Makes root of a container nobody of the machine.
    #[arg(long, env = "MUSTER_USER_NAMESPACES")]
    user_namespaces: bool,
    /// Who users of containers are on the machine then: FIRST:COUNT, like 100000:6553600. By
    /// default what /etc/subuid and /etc/subgid say of muster, or of root.
    #[arg(long, env = "MUSTER_USER_NAMESPACES_RANGE", requires = "user_namespaces")]
    user_namespaces_range: Option<IdRange>,
    /// How many of them each container gets, none of which another has.
    #[arg(
        long,
        env = "MUSTER_USER_NAMESPACES_SIZE",
        default_value_t = Isolation::USER_NAMESPACES_SIZE,
        requires = "user_namespaces"
    )]
    user_namespaces_size: u32,
    /// What root may do in a container whose task does not say: names separated by commas, or
    /// Mesos' `{"capabilities": [...]}`. What Docker gives, by default.
    #[arg(long, env = "MUSTER_EFFECTIVE_CAPABILITIES")]
    effective_capabilities: Option<CapabilitySet>,
    /// What no task may do more than.
    #[arg(
        long,
        env = "MUSTER_BOUNDING_CAPABILITIES",
        default_value_t = CapabilitySet::DOCKER
    )]
    bounding_capabilities: CapabilitySet,
    /// How often the disk space of containers is looked at. Needs disk/du or disk/xfs.
    #[arg(
        long,
        env = "MUSTER_CONTAINER_DISK_WATCH_INTERVAL",
        default_value = "15secs",
        value_parser = duration::positive
    )]
    container_disk_watch_interval: Duration,
    /// Kills containers that take more disk space than they are promised, or has the filesystem
    /// refuse that where it can. Needs disk/du.
    #[arg(long, env = "MUSTER_ENFORCE_CONTAINER_DISK_QUOTA")]
    enforce_container_disk_quota: bool,
    /// Projects that containers get on filesystems with project quotas. Nobody else on the
    /// machine may have them.
    #[arg(long, env = "MUSTER_XFS_PROJECT_RANGE", default_value_t = ProjectRange::default())]
    xfs_project_range: ProjectRange,
    /// Kills containers that take more disk space than they are promised, before the filesystem
    /// refuses that. Needs disk/xfs.
    #[arg(long, env = "MUSTER_XFS_KILL_CONTAINERS")]
    xfs_kill_containers: bool,
    /// GPUs that tasks may have, by the numbers of their nodes: "0,2". All, by default. Needs
    /// gpu/nvidia.
    #[arg(long, env = "MUSTER_NVIDIA_GPU_DEVICES", value_delimiter = ',')]
    nvidia_gpu_devices: Option<Vec<u32>>,
    /// Below which the NVIDIA driver has its nodes (dev/nvidia0) and files.
    #[arg(long, env = "MUSTER_NVIDIA_ROOT", default_value = "/")]
    nvidia_root: PathBuf,
    /// Where programs are that are isolators, external/NAME: see docs/isolator-programs.md.
    #[arg(long, env = "MUSTER_ISOLATOR_DIR")]
    isolator_dir: Option<PathBuf>,
    /// How long such a program may take for a step.
    #[arg(
        long,
        env = "MUSTER_ISOLATOR_TIMEOUT",
        default_value = "30secs",
        value_parser = duration::positive
    )]
    isolator_timeout: Duration,
    /// Where profiles of system calls are, in Docker's JSON format. Tasks choose among them.
    #[arg(long, env = "MUSTER_SECCOMP_CONFIG_DIR")]
    seccomp_config_dir: Option<PathBuf>,
    /// The one of these for a task that does not say. Docker's default, by default.
    #[arg(long, env = "MUSTER_SECCOMP_PROFILE_NAME", requires = "seccomp_config_dir")]
    seccomp_profile_name: Option<String>,
    /// How root filesystems are made of images: overlay, copy (a copy for each container) or bind
    /// (images of one layer, read only). BACKEND,IMAGE=BACKEND,... for single images. By default overlay where the file system of the image
    /// store can, and else copy.
    #[arg(long, env = "MUSTER_IMAGE_PROVISIONER_BACKEND")]
    image_provisioner_backend: Option<ImageBackends>,
}

impl From<IsolationFlags> for Isolation {
    fn from(flags: IsolationFlags) -> Self {
        Self {
            names: flags.isolation,
            cfs_quota: flags.cgroups_enable_cfs,
            limit_swap: flags.cgroups_limit_swap,
            pids_limit: flags.cgroups_pids_limit,
            block_io: BlockIo {
                weight: flags.cgroups_blkio_weight,
                throttles: flags.cgroups_blkio_throttle,
            },
            disallow_sharing_pid_namespace: flags.disallow_sharing_agent_pid_namespace,
            disallow_sharing_ipc_namespace: flags.disallow_sharing_agent_ipc_namespace,
            shm_bytes: flags.default_container_shm_size,
            user_namespaces: flags.user_namespaces,
            user_namespaces_range: flags.user_namespaces_range,
            user_namespaces_size: flags.user_namespaces_size,
            effective_capabilities: flags.effective_capabilities,
            bounding_capabilities: flags.bounding_capabilities,
            disk_watch_interval: flags.container_disk_watch_interval,
            enforce_disk_quota: flags.enforce_container_disk_quota,
            project_range: flags.xfs_project_range,
            xfs_kill_containers: flags.xfs_kill_containers,
            nvidia_gpu_devices: flags.nvidia_gpu_devices.map(|minors| minors.into_iter().collect()),
            nvidia_root: flags.nvidia_root,
            isolator_dir: flags.isolator_dir,
            isolator_timeout: flags.isolator_timeout,
            seccomp_dir: flags.seccomp_config_dir,
            seccomp_profile: flags.seccomp_profile_name,
            image_backends: flags.image_provisioner_backend.unwrap_or_default(),
        }
    }
}
