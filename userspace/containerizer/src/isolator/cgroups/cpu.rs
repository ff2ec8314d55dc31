//! `cgroups/cpu`: a share of CPU time, and a ceiling where one is wanted.
//!
//! | | v1 | v2 |
//! |---|---|---|
//! | share | `cpu.shares`, 1024 for a CPU | `cpu.weight`, 100 for a CPU |
//! | ceiling (CFS quota) | `cpu.cfs_quota_us` of `cpu.cfs_period_us` | `cpu.max` |
//! | throttled | `cpu.stat` | the same |
//!
//! What is used is in `cpu.stat` of the group that every container has in v2, which counts it
//! also where the controller is in v1: there it would take one more group, of `cpuacct`.

use crate::cgroup::{Controller, Hierarchies, Version, file};
use crate::isolator::{Isolation, Isolator, Subject};
use crate::{Error, Limit, Resources, Usage};

/// The CFS period in microseconds.
const PERIOD: u64 = 100_000;
/// The least quota per period that the kernel takes, in microseconds.
const QUOTA_MIN: u64 = 1_000;

/// The isolator.
pub(in crate::isolator) struct Cpu {
    cfs_quota: bool,
}

impl Cpu {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self { cfs_quota: flags.cfs_quota }
    }
}

impl Cpu {
    /// The most CPUs; `None` if nobody has said anything about that.
    fn ceiling(&self, resources: &Resources) -> Option<Limit> {
        let share = self.cfs_quota.then_some(Limit::At(resources.cpus_milli));
        resources.cpus_limit.or(share)
    }
}

impl Isolator for Cpu {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Cpu).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Cpu]
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.update(subject, &subject.resources)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Cpu)?;
        let write = |name, text: String| file::write(&place.directory.join(name), &text);
        let ceiling = self.ceiling(resources);
        match place.version {
            Version::V1 => {
                write("cpu.shares", shares(resources.cpus_milli).to_string())?;
                if let Some(ceiling) = ceiling {
                    write("cpu.cfs_period_us", PERIOD.to_string())?;
                    write("cpu.cfs_quota_us", quota(ceiling).map_or("-1".into(), text))?;
                }
            }
            Version::V2 => {
                write("cpu.weight", weight(resources.cpus_milli).to_string())?;
                if let Some(ceiling) = ceiling {
                    let quota = quota(ceiling).map_or("max".into(), text);
                    write("cpu.max", format!("{quota} {PERIOD}"))?;
                }
            }
        }
        Ok(())
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Cpu)?;
        let directory = place.directory;
        let throttling = file::read(&directory.join("cpu.stat"))?;
        let ceiling = match place.version {
            Version::V1 => {
                usage.cpus_throttled_time_secs =
                    file::field(&throttling, "throttled_time").map(|ns| file::micros(ns / 1000));
                // -1 is no quota.
                file::read(&directory.join("cpu.cfs_quota_us"))?.trim().parse::<u64>().ok()
            }
            Version::V2 => {
                usage.cpus_throttled_time_secs = file::seconds(&throttling, "throttled_usec");
                let max = file::read(&directory.join("cpu.max"))?;
                max.split(' ').next().and_then(|quota| quota.parse::<u64>().ok())
            }
        };
        let ceiling = ceiling.map(|quota| float(quota) / float(PERIOD));
        let share = match place.version {
            Version::V1 => file::number(&directory.join("cpu.shares"))?.map(|n| float(n) / 1024.0),
            Version::V2 => file::number(&directory.join("cpu.weight"))?.map(|n| float(n) / 100.0),
        };
        usage.cpus_soft_limit = share;
        usage.cpus_limit = ceiling.or(share);
        usage.cpus_nr_periods = file::field(&throttling, "nr_periods");
        usage.cpus_nr_throttled = file::field(&throttling, "nr_throttled");
        let used = file::read(&subject.plan.group.unified.join("cpu.stat"))?;
        usage.cpus_user_time_secs = file::seconds(&used, "user_usec");
        usage.cpus_system_time_secs = file::seconds(&used, "system_usec");
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

/// Microseconds per period; `None` without a limit.
fn quota(ceiling: Limit) -> Option<u64> {
    match ceiling {
        Limit::Infinite => None,
        Limit::At(cpus_milli) => Some(cpus_milli.saturating_mul(PERIOD / 1000).max(QUOTA_MIN)),
    }
}

fn text(number: u64) -> String {
    number.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing;

    #[test]
    fn mesos_numbers() {
        assert_eq!([1, 100, 1000, 2500].map(shares), [2, 102, 1024, 2560]);
        assert_eq!([1, 100, 1000, 2500].map(weight), [1, 10, 100, 250]);
        let quota = |cpus_milli| quota(Limit::At(cpus_milli)).unwrap();
        assert_eq!([1, 100, 1000, 2500].map(quota), [1000, 10_000, 100_000, 250_000]);
    }

    fn isolated(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Cpu, Subject) {
        let (directory, mut subject) = testing::subject(version, files);
        let cpu = Cpu { cfs_quota: true };
        subject.resources.cpus_milli = 500;
        cpu.isolate(&subject).unwrap();
        (directory, cpu, subject)
    }

    #[test]
    fn v1_writes_and_reads() {
        let (directory, cpu, subject) = isolated(
            Version::V1,
            &[
                ("c/cpu/c/cpu.shares", ""),
                ("c/cpu/c/cpu.cfs_period_us", ""),
                ("c/cpu/c/cpu.cfs_quota_us", ""),
                ("c/cpu/c/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 1500000000\n"),
                ("c/unified/c/cpu.stat", "user_usec 2500000\nsystem_usec 500000\n"),
            ],
        );
        let read = |name| std::fs::read_to_string(directory.path().join("c/cpu/c").join(name));
        assert_eq!(read("cpu.shares").unwrap(), "512");
        assert_eq!(read("cpu.cfs_period_us").unwrap(), "100000");
        assert_eq!(read("cpu.cfs_quota_us").unwrap(), "50000");
        let mut usage = Usage::default();
        cpu.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5));
        assert_eq!((usage.cpus_nr_periods, usage.cpus_nr_throttled), (Some(5), Some(2)));
        assert_eq!(usage.cpus_throttled_time_secs, Some(1.5));
        assert_eq!(usage.cpus_user_time_secs, Some(2.5));
        assert_eq!(usage.cpus_system_time_secs, Some(0.5));
        // Without a quota the share is what is told.
        std::fs::write(directory.path().join("c/cpu/c/cpu.cfs_quota_us"), "-1\n").unwrap();
        std::fs::write(directory.path().join("c/cpu/c/cpu.shares"), "2048\n").unwrap();
        cpu.usage(&subject, &mut usage).unwrap();
        assert_eq!((usage.cpus_limit, usage.cpus_soft_limit), (Some(2.0), Some(2.0)));
    }

    #[test]
    fn v2_writes_and_reads() {
        let stat = "usage_usec 3\nuser_usec 2500000\nsystem_usec 500000\nnr_periods 5\n\
                    nr_throttled 2\nthrottled_usec 1500000\n";
        let (directory, cpu, subject) = isolated(
            Version::V2,
            &[("c/c/cpu.weight", ""), ("c/c/cpu.max", ""), ("c/c/cpu.stat", stat)],
        );
        let read = |name| std::fs::read_to_string(directory.path().join("c/c").join(name));
        assert_eq!(read("cpu.weight").unwrap(), "50");
        assert_eq!(read("cpu.max").unwrap(), "50000 100000");
        let mut usage = Usage::default();
        cpu.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5));
        assert_eq!((usage.cpus_nr_periods, usage.cpus_nr_throttled), (Some(5), Some(2)));
        assert_eq!(usage.cpus_throttled_time_secs, Some(1.5));
        assert_eq!(usage.cpus_user_time_secs, Some(2.5));
        assert_eq!(usage.cpus_system_time_secs, Some(0.5));
        std::fs::write(directory.path().join("c/c/cpu.max"), "max 100000\n").unwrap();
        cpu.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.cpus_limit, Some(0.5), "by weight");
    }

    #[test]
    fn a_ceiling_is_the_limit_or_with_the_flag_the_share() {
        let ceiling = |cfs_quota, cpus_limit| {
            Cpu { cfs_quota }.ceiling(&Resources {
                cpus_milli: 500,
                cpus_limit,
                ..Resources::default()
            })
        };
        assert_eq!(ceiling(false, None), None);
        assert_eq!(ceiling(true, None), Some(Limit::At(500)));
        for cfs_quota in [false, true] {
            assert_eq!(ceiling(cfs_quota, Some(Limit::At(700))), Some(Limit::At(700)));
            assert_eq!(ceiling(cfs_quota, Some(Limit::Infinite)), Some(Limit::Infinite));
        }
    }

    #[test]
    fn no_limit_takes_an_earlier_one_back() {
        let v1 = ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"];
        for (version, files, last, expected) in [
            (Version::V1, &v1[..], "c/cpu/c/cpu.cfs_quota_us", "-1"),
            (Version::V2, &["cpu.weight", "cpu.max"], "c/c/cpu.max", "max 100000"),
        ] {
            let (directory, subject) = testing::subject(version, &[]);
            let place = subject.plan.group.place(Controller::Cpu).unwrap();
            for name in files {
                std::fs::write(place.directory.join(name), "").unwrap();
            }
            let infinite = Resources { cpus_limit: Some(Limit::Infinite), ..Resources::default() };
            Cpu { cfs_quota: true }.update(&subject, &infinite).unwrap();
            assert_eq!(std::fs::read_to_string(directory.path().join(last)).unwrap(), expected);
        }
    }

    #[test]
    fn stays_within_what_the_kernel_takes() {
        assert_eq!(shares(u64::MAX), 262_144);
        assert_eq!(weight(u64::MAX), 10_000);
    }
}
