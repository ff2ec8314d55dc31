//! `cgroups/mem`: a memory limit.

use std::path::Path;

use crate::cgroup::{Controller, Group, Hierarchies, Version, file};
use crate::{Error, Termination, Usage};

use super::{Isolator, Limits};

/// The least limit, as in Mesos: below it hardly anything starts.
const MINIMUM: u64 = 32 << 20;
/// What v1 shows as a limit where there is none: the largest number of whole pages.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

/// The isolator.
pub(super) struct Memory {
    hierarchies: Hierarchies,
    version: Version,
}

impl Memory {
    /// `None` where there is no such controller.
    pub(super) fn new(hierarchies: &Hierarchies) -> Option<Self> {
        let version = hierarchies.version(Controller::Memory)?;
        Some(Self { hierarchies: hierarchies.clone(), version })
    }
}

impl Isolator for Memory {
    fn name(&self) -> &'static str {
        "cgroups/mem"
    }

    fn prepare(&self, group: &str, limits: Limits) -> Result<(), Error> {
        let directory = self.hierarchies.directory(Controller::Memory, group);
        let limit = limits.mem_bytes.max(MINIMUM).to_string();
        match self.version {
            Version::V1 => file::write(&directory.join("memory.limit_in_bytes"), &limit),
            Version::V2 => {
                file::write(&directory.join("memory.max"), &limit)?;
                // All of a container or nothing: half of one is of no use.
                file::write(&directory.join("memory.oom.group"), "1")
            }
        }
    }

    fn usage(&self, group: &str, usage: &mut Usage) -> Result<(), Error> {
        let directory = self.hierarchies.directory(Controller::Memory, group);
        let text = file::read(&directory.join("memory.stat"))?;
        let (total, rss, cache) = match self.version {
            Version::V1 => ("memory.usage_in_bytes", "total_rss", "total_cache"),
            Version::V2 => ("memory.current", "anon", "file"),
        };
        usage.mem_total_bytes = file::number(&directory.join(total))?;
        usage.mem_rss_bytes = file::field(&text, rss);
        usage.mem_cache_bytes = file::field(&text, cache);
        usage.mem_limit_bytes = limit(&directory, self.version)?;
        usage.mem_max_usage_bytes = max_usage(&directory, self.version)?;
        Ok(())
    }
}

/// How a group ended in which memory ran out: if that is `known`, or if the kernel killed
/// something for want of it.
pub(crate) fn exceeded(group: &Group, known: bool) -> Result<Option<Termination>, Error> {
    let events = match group.memory_version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    };
    let events = file::read(&group.memory.join(events))?;
    if !known && file::field(&events, "oom_kill").is_none_or(|kills| kills == 0) {
        return Ok(None);
    }
    let limit = limit(&group.memory, group.memory_version)?.unwrap_or(0);
    Ok(Some(Termination::OomKilled {
        limit_bytes: limit,
        // Before 5.19 v2 does not keep it; at the limit is where it was.
        max_usage_bytes: max_usage(&group.memory, group.memory_version)?.unwrap_or(limit),
    }))
}

fn limit(directory: &Path, version: Version) -> Result<Option<u64>, Error> {
    match version {
        Version::V1 => {
            let limit = file::number(&directory.join("memory.limit_in_bytes"))?;
            Ok(limit.filter(|limit| *limit < UNLIMITED))
        }
        Version::V2 => file::number(&directory.join("memory.max")),
    }
}

fn max_usage(directory: &Path, version: Version) -> Result<Option<u64>, Error> {
    match version {
        Version::V1 => file::number(&directory.join("memory.max_usage_in_bytes")),
        Version::V2 => {
            let peak = directory.join("memory.peak");
            if peak.exists() { file::number(&peak) } else { Ok(None) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cgroup::fake;

    fn prepared(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Memory, Group) {
        let directory = tempfile::tempdir().unwrap();
        let hierarchies = fake::trees(directory.path(), version);
        let group = Group::new(&hierarchies, "c");
        for (name, text) in files {
            fs::write(group.memory.join(name), text).unwrap();
        }
        (directory, Memory::new(&hierarchies).unwrap(), group)
    }

    fn limits(mem_bytes: u64) -> Limits {
        Limits { cpus_milli: 0, mem_bytes }
    }

    #[test]
    fn v1_limits_counts_and_tells() {
        let (_directory, memory, group) = prepared(
            Version::V1,
            &[
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.usage_in_bytes", "500\n"),
                ("memory.max_usage_in_bytes", "600\n"),
                ("memory.stat", "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
            ],
        );
        let mut usage = Usage::default();
        memory.usage("c", &mut usage).unwrap();
        assert_eq!(usage.mem_limit_bytes, None);
        assert_eq!((usage.mem_rss_bytes, usage.mem_cache_bytes), (Some(20), Some(10)));
        assert_eq!((usage.mem_total_bytes, usage.mem_max_usage_bytes), (Some(500), Some(600)));
        memory.prepare("c", limits(64 << 20)).unwrap();
        let limit = fs::read_to_string(group.memory.join("memory.limit_in_bytes")).unwrap();
        assert_eq!(limit, (64 << 20).to_string());
        assert_eq!(exceeded(&group, false).unwrap(), None);
        let killed = Termination::OomKilled { limit_bytes: 64 << 20, max_usage_bytes: 600 };
        assert_eq!(exceeded(&group, true).unwrap(), Some(killed.clone()));
        fs::write(group.memory.join("memory.oom_control"), "under_oom 0\noom_kill 1\n").unwrap();
        assert_eq!(exceeded(&group, false).unwrap(), Some(killed));
    }

    #[test]
    fn v2_limits_counts_and_tells() {
        let (_directory, memory, group) = prepared(
            Version::V2,
            &[
                ("memory.max", "max\n"),
                ("memory.oom.group", "0\n"),
                ("memory.current", "500\n"),
                ("memory.stat", "anon 20\nfile 10\n"),
                ("memory.events", "low 0\noom 1\noom_kill 0\noom_group_kill 0\n"),
            ],
        );
        let mut usage = Usage::default();
        memory.usage("c", &mut usage).unwrap();
        assert_eq!((usage.mem_limit_bytes, usage.mem_max_usage_bytes), (None, None));
        assert_eq!((usage.mem_rss_bytes, usage.mem_cache_bytes), (Some(20), Some(10)));
        memory.prepare("c", limits(1)).unwrap();
        let read = |name| fs::read_to_string(group.memory.join(name)).unwrap();
        assert_eq!(read("memory.max"), MINIMUM.to_string(), "not less than the least");
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!(exceeded(&group, false).unwrap(), None);
        fs::write(group.memory.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        let killed = |max_usage_bytes| {
            Some(Termination::OomKilled { limit_bytes: MINIMUM, max_usage_bytes })
        };
        // Before 5.19 there is no peak.
        assert_eq!(exceeded(&group, false).unwrap(), killed(MINIMUM));
        fs::write(group.memory.join("memory.peak"), "700\n").unwrap();
        assert_eq!(exceeded(&group, false).unwrap(), killed(700));
    }
}
