//! What the engine counts, by Mesos' names.

use bollard::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerStatsResponse, HostConfig,
};
use muster_containerizer::{DeviceIo, DeviceNumber, Usage};

const NANOSECONDS: f64 = 1e9;
const SHARES: f64 = 1024.0;

/// The counters of a container that has been given `limits`.
pub(super) fn of(stats: &ContainerStatsResponse, limits: &HostConfig) -> Usage {
    // Nanoseconds lose nothing that matters as seconds.
    #[allow(clippy::cast_precision_loss)]
    let seconds = |nanoseconds: u64| nanoseconds as f64 / NANOSECONDS;
    let cpu = stats.cpu_stats.clone().unwrap_or_default();
    let time = cpu.cpu_usage.unwrap_or_default();
    let throttling = cpu.throttling_data.unwrap_or_default();
    let memory = stats.memory_stats.clone().unwrap_or_default();
    let detail = memory.stats.unwrap_or_default();
    // By the names of cgroup v1, or of v2.
    let count = |names: [&str; 2]| names.iter().find_map(|name| detail.get(*name).copied());
    let positive = |value: Option<i64>| value.filter(|&value| value > 0);
    let bytes = |value: Option<i64>| positive(value).and_then(|value| u64::try_from(value).ok());
    #[allow(clippy::cast_precision_loss)]
    let float = |value: i64| value as f64;
    let share = positive(limits.cpu_shares).map(|shares| float(shares) / SHARES);
    let period = positive(limits.cpu_period).map_or(100_000.0, float);
    let ceiling = positive(limits.cpu_quota).map(|quota| float(quota) / period);
    let limited = ceiling.is_some();
    Usage {
        cpus_user_time_secs: time.usage_in_usermode.map(seconds),
        cpus_system_time_secs: time.usage_in_kernelmode.map(seconds),
        cpus_limit: ceiling.or(share),
        cpus_soft_limit: share,
        cpus_nr_periods: throttling.periods.filter(|_| limited),
        cpus_nr_throttled: throttling.throttled_periods.filter(|_| limited),
        cpus_throttled_time_secs: throttling.throttled_time.filter(|_| limited).map(seconds),
        mem_total_bytes: memory.usage,
        mem_rss_bytes: count(["total_rss", "anon"]),
        mem_cache_bytes: count(["total_cache", "file"]),
        mem_mapped_file_bytes: count(["total_mapped_file", "file_mapped"]),
        mem_swap_bytes: count(["total_swap", "swap"]),
        mem_unevictable_bytes: count(["total_unevictable", "unevictable"]),
        mem_max_usage_bytes: memory.max_usage,
        mem_soft_limit_bytes: bytes(limits.memory_reservation),
        mem_limit_bytes: bytes(limits.memory),
        threads: stats.pids_stats.as_ref().and_then(|pids| pids.current),
        block_io: stats.blkio_stats.as_ref().map(block_io).unwrap_or_default(),
        ..Usage::default()
    }
}

fn block_io(stats: &ContainerBlkioStats) -> Vec<DeviceIo> {
    let bytes = stats.io_service_bytes_recursive.as_deref().unwrap_or_default();
    let operations = stats.io_serviced_recursive.as_deref().unwrap_or_default();
    let number = |entry: &ContainerBlkioStatEntry| Some((entry.major?, entry.minor?));
    let mut devices: Vec<(u64, u64)> = bytes.iter().filter_map(number).collect();
    devices.sort_unstable();
    devices.dedup();
    let of = |device: (u64, u64), entries: &[ContainerBlkioStatEntry], operation: &str| {
        let own = entries.iter().filter(|entry| number(entry) == Some(device));
        let named = |entry: &&ContainerBlkioStatEntry| {
            entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(operation))
        };
        own.filter(named).filter_map(|entry| entry.value).sum()
    };
    let counted = devices.into_iter().filter_map(|device| {
        Some(DeviceIo {
            device: DeviceNumber {
                major: u32::try_from(device.0).ok()?,
                minor: u32::try_from(device.1).ok()?,
            },
            read_bytes: of(device, bytes, "read"),
            write_bytes: of(device, bytes, "write"),
            discarded_bytes: of(device, bytes, "discard"),
            reads: of(device, operations, "read"),
            writes: of(device, operations, "write"),
            discards: of(device, operations, "discard"),
        })
    });
    counted.collect()
}
