//! What a container uses.

use crate::DeviceIo;

/// Counters of a container, as its cgroups give them. A field is `None` where this
/// machine's controllers do not count it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds on a CPU in user mode.
    pub cpus_user_time_secs: Option<f64>,
    /// Seconds on a CPU in the kernel.
    pub cpus_system_time_secs: Option<f64>,
    /// The ceiling in CPUs, or without one the share.
    pub cpus_limit: Option<f64>,
    /// The share in CPUs.
    pub cpus_soft_limit: Option<f64>,
    /// Enforcement periods (100 ms each) in which it could run.
    pub cpus_nr_periods: Option<u64>,
    /// Periods in which it was held back.
    pub cpus_nr_throttled: Option<u64>,
    /// Seconds it was held back.
    pub cpus_throttled_time_secs: Option<f64>,
    /// All memory charged to it, page cache included, in bytes.
    pub mem_total_bytes: Option<u64>,
    /// The same with swap, in bytes.
    pub mem_total_memsw_bytes: Option<u64>,
    /// Memory of the kernel for it, in bytes.
    pub mem_kmem_usage_bytes: Option<u64>,
    /// Memory of its TCP sockets' buffers, in bytes.
    pub mem_kmem_tcp_usage_bytes: Option<u64>,
    /// Anonymous memory in RAM, in bytes.
    pub mem_rss_bytes: Option<u64>,
    /// Page cache, in bytes.
    pub mem_cache_bytes: Option<u64>,
    /// Files mapped into memory, in bytes.
    pub mem_mapped_file_bytes: Option<u64>,
    /// Swapped out, in bytes.
    pub mem_swap_bytes: Option<u64>,
    /// What cannot be swapped out or dropped, in bytes.
    pub mem_unevictable_bytes: Option<u64>,
    /// The most memory that was ever charged to it, in bytes.
    pub mem_max_usage_bytes: Option<u64>,
    /// The memory that it is promised, in bytes.
    pub mem_soft_limit_bytes: Option<u64>,
    /// The memory limit in bytes; `None` also when there is none.
    pub mem_limit_bytes: Option<u64>,
    /// How often memory of its cgroup was reclaimed for want of it (in v2: at a limit of its own).
    pub mem_low_pressure_counter: Option<u64>,
    /// How often it had to be swapped out, or what is used was dropped; not in v2.
    pub mem_medium_pressure_counter: Option<u64>,
    /// How often hardly anything could be reclaimed (in v2: nothing, at a limit of its own).
    pub mem_critical_pressure_counter: Option<u64>,
    /// What its sandbox and its changes of the image take, in bytes; `None` also before that has
    /// been found out.
    pub disk_used_bytes: Option<u64>,
    /// The disk space that it is promised, in bytes.
    pub disk_limit_bytes: Option<u64>,
    /// Tasks (threads) in it.
    pub threads: Option<u64>,
    /// Processes in it.
    pub processes: Option<u64>,
    /// What it read and wrote, by device; nothing where that is not counted.
    pub block_io: Vec<DeviceIo>,
    /// What went through its own network; `None` for one that has the host's.
    pub network: Option<NetworkUsage>,
}

/// What went through the interfaces of a container's own network, seen from inside; without
/// loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkUsage {
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
}

/// Counters of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes, with headers of the link layer.
    pub bytes: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets dropped for want of room.
    pub dropped: u64,
}
