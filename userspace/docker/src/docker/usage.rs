//! What the engine counts, by Mesos' names.

use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerNetworkStats, ContainerStatsResponse,
    HostConfig,
};
use muster_containerizer::{DeviceIo, DeviceNumber, NetworkUsage, Traffic, Usage};

use super::exec;

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
        network: stats
            .networks
            .as_ref()
            .filter(|networks| !networks.is_empty())
            .map(|networks| network(networks.values())),
        ..Usage::default()
    }
}

/// All interfaces together.
fn network<'a>(interfaces: impl Iterator<Item = &'a ContainerNetworkStats>) -> NetworkUsage {
    let mut usage = NetworkUsage::default();
    for of in interfaces {
        let add = |sum: &mut Traffic, counters: [Option<u64>; 4]| {
            let [packets, bytes, errors, dropped] = counters.map(Option::unwrap_or_default);
            sum.packets = sum.packets.saturating_add(packets);
            sum.bytes = sum.bytes.saturating_add(bytes);
            sum.errors = sum.errors.saturating_add(errors);
            sum.dropped = sum.dropped.saturating_add(dropped);
        };
        add(&mut usage.received, [of.rx_packets, of.rx_bytes, of.rx_errors, of.rx_dropped]);
        add(&mut usage.sent, [of.tx_packets, of.tx_bytes, of.tx_errors, of.tx_dropped]);
    }
    usage
}

/// How many processes there are in the cgroup of the process `pid`, and below it; `None` where it has
/// none in the v2 tree.
pub(super) fn processes(pid: i64) -> Option<u64> {
    let group = exec::unified(pid)?;
    let tree = tree(&std::fs::read_to_string("/proc/thread-self/mountinfo").ok()?)?;
    count(&tree.join(group.trim_start_matches('/')))
}

/// Where cgroup v2 is mounted, by a mountinfo (proc(5)).
fn tree(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        filesystem.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn count(group: &Path) -> Option<u64> {
    let own = std::fs::read_to_string(group.join("cgroup.procs")).ok()?.lines().count() as u64;
    let below = std::fs::read_dir(group).ok()?.flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    // One that is being removed has none.
    Some(own + below.filter_map(|entry| count(&entry.path())).sum::<u64>())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_summed_up() {
        let of = |packets| ContainerNetworkStats {
            rx_packets: Some(packets),
            rx_bytes: Some(100 * packets),
            tx_dropped: Some(1),
            ..ContainerNetworkStats::default()
        };
        let usage = network([of(1), of(2)].iter());
        assert_eq!((usage.received.packets, usage.received.bytes), (3, 300));
        assert_eq!((usage.sent.dropped, usage.sent.bytes), (2, 0));
    }

    #[test]
    fn processes_are_counted_in_the_tree_that_is_there() {
        let hybrid = "25 30 0:23 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      26 30 0:24 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 none rw\n";
        assert_eq!(tree(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(tree(""), None);
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir(top.path().join("below")).unwrap();
        std::fs::write(top.path().join("cgroup.procs"), "1\n").unwrap();
        std::fs::write(top.path().join("below/cgroup.procs"), "2\n30\n").unwrap();
        assert_eq!(count(top.path()), Some(3));
        assert_eq!(count(&top.path().join("none")), None);
    }
}
