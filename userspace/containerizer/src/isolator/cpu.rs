//! `cgroups/cpu`: a share of CPU time, and if wanted a ceiling.

use crate::cgroup::{Controller, Hierarchies, Version, file};
use crate::{Error, Usage};

use super::{Isolator, Limits};

/// The CFS period in microseconds.
const PERIOD: u64 = 100_000;
/// The least quota per period that the kernel takes, in microseconds.
const QUOTA_MIN: u64 = 1_000;
/// Clock ticks per second in `cpuacct.stat` (`USER_HZ`, the same on all Linux).
const USER_HZ: f64 = 100.0;

/// The isolator.
pub(super) struct Cpu {
    hierarchies: Hierarchies,
    version: Version,
    cfs_quota: bool,
}

impl Cpu {
    /// `None` where there is no such controller.
    pub(super) fn new(hierarchies: &Hierarchies, cfs_quota: bool) -> Option<Self> {
        let version = hierarchies.version(Controller::Cpu)?;
        Some(Self { hierarchies: hierarchies.clone(), version, cfs_quota })
    }
}

impl Isolator for Cpu {
    fn name(&self) -> &'static str {
        "cgroups/cpu"
    }

    fn prepare(&self, group: &str, limits: Limits) -> Result<(), Error> {
        let directory = self.hierarchies.directory(Controller::Cpu, group);
        let quota = quota(limits.cpus_milli);
        match self.version {
            Version::V1 => {
                file::write(&directory.join("cpu.shares"), &shares(limits.cpus_milli).to_string())?;
                if self.cfs_quota {
                    let period = PERIOD.to_string();
                    file::write(&directory.join("cpu.cfs_period_us"), &period)?;
                    file::write(&directory.join("cpu.cfs_quota_us"), &quota.to_string())?;
                }
            }
            Version::V2 => {
                file::write(&directory.join("cpu.weight"), &weight(limits.cpus_milli).to_string())?;
                if self.cfs_quota {
                    file::write(&directory.join("cpu.max"), &format!("{quota} {PERIOD}"))?;
                }
            }
        }
        Ok(())
    }

    fn usage(&self, group: &str, usage: &mut Usage) -> Result<(), Error> {
        let directory = self.hierarchies.directory(Controller::Cpu, group);
        let throttling = file::read(&directory.join("cpu.stat"))?;
        match self.version {
            Version::V1 => {
                let shares = file::number(&directory.join("cpu.shares"))?;
                let quota = file::read(&directory.join("cpu.cfs_quota_us"))?;
                // -1 is no quota.
                usage.cpus_limit = match quota.trim().parse::<u64>() {
                    Ok(quota) => Some(float(quota) / float(PERIOD)),
                    Err(_) => shares.map(|shares| float(shares) / 1024.0),
                };
                usage.cpus_throttled_time_secs =
                    file::field(&throttling, "throttled_time").map(|ns| micros(ns / 1000));
            }
            Version::V2 => {
                let weight = file::number(&directory.join("cpu.weight"))?;
                let max = file::read(&directory.join("cpu.max"))?;
                let quota = max.split(' ').next().and_then(|quota| quota.parse::<u64>().ok());
                usage.cpus_limit = match quota {
                    Some(quota) => Some(float(quota) / float(PERIOD)),
                    None => weight.map(|weight| float(weight) / 100.0),
                };
                usage.cpus_throttled_time_secs =
                    file::field(&throttling, "throttled_usec").map(micros);
            }
        }
        usage.cpus_nr_periods = file::field(&throttling, "nr_periods");
        usage.cpus_nr_throttled = file::field(&throttling, "nr_throttled");
        let time = self.hierarchies.directory(Controller::Cpuacct, group);
        if self.hierarchies.version(Controller::Cpuacct) == Some(Version::V1) {
            let text = file::read(&time.join("cpuacct.stat"))?;
            let seconds = |key| file::field(&text, key).map(|ticks| float(ticks) / USER_HZ);
            usage.cpus_user_time_secs = seconds("user");
            usage.cpus_system_time_secs = seconds("system");
        } else {
            let text = file::read(&time.join("cpu.stat"))?;
            usage.cpus_user_time_secs = file::field(&text, "user_usec").map(micros);
            usage.cpus_system_time_secs = file::field(&text, "system_usec").map(micros);
        }
        Ok(())
    }
}

/// v1: 1024 for one CPU, at least 2.
fn shares(cpus_milli: u64) -> u64 {
    (cpus_milli.saturating_mul(1024) / 1000).clamp(2, 262_144)
}

/// v2: 100 for one CPU, at least 1, at most 10,000 as the kernel has it.
fn weight(cpus_milli: u64) -> u64 {
    (cpus_milli / 10).clamp(1, 10_000)
}

/// Microseconds per period.
fn quota(cpus_milli: u64) -> u64 {
    cpus_milli.saturating_mul(PERIOD / 1000).max(QUOTA_MIN)
}

/// Seconds.
fn micros(micros: u64) -> f64 {
    float(micros) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::fake;

    #[test]
    fn mesos_numbers() {
        assert_eq!([1, 100, 1000, 2500].map(shares), [2, 102, 1024, 2560]);
        assert_eq!([1, 100, 1000, 2500].map(weight), [1, 10, 100, 250]);
        assert_eq!([1, 100, 1000, 2500].map(quota), [1000, 10_000, 100_000, 250_000]);
    }

    fn prepared(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Cpu) {
        let directory = tempfile::tempdir().unwrap();
        let hierarchies = fake::trees(directory.path(), version);
        for (path, text) in files {
            std::fs::write(directory.path().join(path), text).unwrap();
        }
        let cpu = Cpu::new(&hierarchies, true).unwrap();
        cpu.prepare("c", Limits { cpus_milli: 500, mem_bytes: 0 }).unwrap();
        (directory, cpu)
    }

    #[test]
    fn v1_writes_and_reads() {
        let (directory, cpu) = prepared(
            Version::V1,
            &[
                ("c/cpu/c/cpu.shares", ""),
                ("c/cpu/c/cpu.cfs_period_us", ""),
                ("c/cpu/c/cpu.cfs_quota_us", ""),
                ("c/cpu/c/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 1500000000\n"),
                ("c/cpuacct/c/cpuacct.stat", "user 250\nsystem 50\n"),
            ],
        );
        let read = |name| std::fs::read_to_string(directory.path().join("c/cpu/c").join(name));
        assert_eq!(read("cpu.shares").unwrap(), "512");
        assert_eq!(read("cpu.cfs_period_us").unwrap(), "100000");
        assert_eq!(read("cpu.cfs_quota_us").unwrap(), "50000");
        let mut usage = Usage::default();
        cpu.usage("c", &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5));
        assert_eq!((usage.cpus_nr_periods, usage.cpus_nr_throttled), (Some(5), Some(2)));
        assert_eq!(usage.cpus_throttled_time_secs, Some(1.5));
        assert_eq!(usage.cpus_user_time_secs, Some(2.5));
        assert_eq!(usage.cpus_system_time_secs, Some(0.5));
        // Without a quota the share is what is told.
        std::fs::write(directory.path().join("c/cpu/c/cpu.cfs_quota_us"), "-1\n").unwrap();
        std::fs::write(directory.path().join("c/cpu/c/cpu.shares"), "2048\n").unwrap();
        cpu.usage("c", &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(2.0));
    }

    #[test]
    fn v2_writes_and_reads() {
        let stat = "usage_usec 3\nuser_usec 2500000\nsystem_usec 500000\nnr_periods 5\n\
                    nr_throttled 2\nthrottled_usec 1500000\n";
        let (directory, cpu) = prepared(
            Version::V2,
            &[("c/c/cpu.weight", ""), ("c/c/cpu.max", ""), ("c/c/cpu.stat", stat)],
        );
        let read = |name| std::fs::read_to_string(directory.path().join("c/c").join(name));
        assert_eq!(read("cpu.weight").unwrap(), "50");
        assert_eq!(read("cpu.max").unwrap(), "50000 100000");
        let mut usage = Usage::default();
        cpu.usage("c", &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5));
        assert_eq!((usage.cpus_nr_periods, usage.cpus_nr_throttled), (Some(5), Some(2)));
        assert_eq!(usage.cpus_throttled_time_secs, Some(1.5));
        assert_eq!(usage.cpus_user_time_secs, Some(2.5));
        assert_eq!(usage.cpus_system_time_secs, Some(0.5));
        std::fs::write(directory.path().join("c/c/cpu.max"), "max 100000\n").unwrap();
        cpu.usage("c", &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5), "by weight");
    }

    #[test]
    fn stays_within_what_the_kernel_takes() {
        assert_eq!(shares(u64::MAX), 262_144);
        assert_eq!(weight(u64::MAX), 10_000);
    }
}
