//! `cgroups/mem`: a memory limit.

use crate::cgroup::{Controller, Group, Hierarchies, Place, Version, file};
use crate::isolator::{Draft, Isolator, Request, Subject};
use crate::limitation::Amount;
use crate::{Cause, Error, Limitation, Resources, Usage};

/// The least limit, as in Mesos: below it hardly anything starts.
const MINIMUM: u64 = 32 << 20;
/// What v1 shows as a limit where there is none: the largest number of whole pages.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

/// The isolator.
pub(in crate::isolator) struct Mem;

impl Isolator for Mem {
    fn check(&self, hierarchies: &Hierarchies) -> Result<(), Error> {
        hierarchies.require(Controller::Memory).map(drop)
    }

    fn controllers(&self) -> &'static [Controller] {
        &[Controller::Memory]
    }

    fn prepare(&self, _request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.watch_memory();
        Ok(())
    }

    fn isolate(&self, subject: &Subject) -> Result<(), Error> {
        self.update(subject, &subject.resources)
    }

    fn update(&self, subject: &Subject, resources: &Resources) -> Result<(), Error> {
        let Place { version, directory } = subject.plan.group.place(Controller::Memory)?;
        let limit = resources.mem_bytes.max(MINIMUM).to_string();
        match version {
            Version::V1 => file::write(&directory.join("memory.limit_in_bytes"), &limit),
            Version::V2 => {
                file::write(&directory.join("memory.max"), &limit)?;
                // All of a container or nothing: half of one is of no use.
                file::write(&directory.join("memory.oom.group"), "1")
            }
        }
    }

    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let place = subject.plan.group.place(Controller::Memory)?;
        let text = file::read(&place.directory.join("memory.stat"))?;
        let (total, rss, cache) = match place.version {
            Version::V1 => ("memory.usage_in_bytes", "total_rss", "total_cache"),
            Version::V2 => ("memory.current", "anon", "file"),
        };
        usage.mem_total_bytes = file::number(&place.directory.join(total))?;
        usage.mem_rss_bytes = file::field(&text, rss);
        usage.mem_cache_bytes = file::field(&text, cache);
        usage.mem_limit_bytes = limit(place)?;
        usage.mem_max_usage_bytes = max_usage(place)?;
        Ok(())
    }
}

/// What a group went over in which memory ran out: if that is `known`, or if the kernel
/// killed something for want of it.
pub(crate) fn exceeded(group: &Group, known: bool) -> Result<Option<Limitation>, Error> {
    let place = group.place(Controller::Memory)?;
    let events = match place.version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    };
    let events = file::read(&place.directory.join(events))?;
    if !known && file::field(&events, "oom_kill").is_none_or(|kills| kills == 0) {
        return Ok(None);
    }
    let limit = limit(place)?.unwrap_or(0);
    // Before 5.19 v2 does not keep it; at the limit is where it was.
    let used = max_usage(place)?.unwrap_or(limit);
    let statistics = file::read(&place.directory.join("memory.stat"))?;
    Ok(Some(Limitation {
        cause: Cause::Memory,
        // As Mesos says it.
        message: format!(
            "Memory limit exceeded: Requested: {} Maximum Used: {}\n\nMEMORY STATISTICS: \n{}",
            bytes(limit),
            bytes(used),
            statistics.trim_end()
        ),
        resources: vec![Amount::bytes("mem", used)],
    }))
}

/// A size in the largest unit that divides it, as Mesos prints sizes.
fn bytes(size: u64) -> String {
    let units = [("GB", 30), ("MB", 20), ("KB", 10)];
    let fits = |(_, shift): &&(&str, u32)| size >> shift > 0 && size.is_multiple_of(1 << shift);
    match units.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None => format!("{size}B"),
    }
}

fn limit(place: Place<'_>) -> Result<Option<u64>, Error> {
    match place.version {
        Version::V1 => {
            let limit = file::number(&place.directory.join("memory.limit_in_bytes"))?;
            Ok(limit.filter(|limit| *limit < UNLIMITED))
        }
        Version::V2 => file::number(&place.directory.join("memory.max")),
    }
}

fn max_usage(place: Place<'_>) -> Result<Option<u64>, Error> {
    match place.version {
        Version::V1 => file::number(&place.directory.join("memory.max_usage_in_bytes")),
        Version::V2 => {
            let peak = place.directory.join("memory.peak");
            if peak.exists() { file::number(&peak) } else { Ok(None) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::isolator::testing;

    fn limited(subject: &mut Subject, mem_bytes: u64) {
        subject.resources.mem_bytes = mem_bytes;
        Mem.isolate(subject).unwrap();
    }

    #[test]
    fn v1_limits_counts_and_tells() {
        let (directory, mut subject) = testing::subject(
            Version::V1,
            &[
                ("c/memory/c/memory.limit_in_bytes", "9223372036854771712\n"),
                ("c/memory/c/memory.usage_in_bytes", "500\n"),
                ("c/memory/c/memory.max_usage_in_bytes", "600\n"),
                ("c/memory/c/memory.stat", "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\n"),
                ("c/memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
            ],
        );
        let memory = directory.path().join("c/memory/c");
        let mut usage = Usage::default();
        Mem.usage(&subject, &mut usage).unwrap();
        assert_eq!(usage.mem_limit_bytes, None);
        assert_eq!((usage.mem_rss_bytes, usage.mem_cache_bytes), (Some(20), Some(10)));
        assert_eq!((usage.mem_total_bytes, usage.mem_max_usage_bytes), (Some(500), Some(600)));
        limited(&mut subject, 64 << 20);
        let limit = fs::read_to_string(memory.join("memory.limit_in_bytes")).unwrap();
        assert_eq!(limit, (64 << 20).to_string());
        let group = &subject.plan.group;
        assert_eq!(exceeded(group, false).unwrap(), None);
        let killed = Limitation {
            cause: Cause::Memory,
            message: "Memory limit exceeded: Requested: 64MB Maximum Used: 600B\n\n\
                      MEMORY STATISTICS: \ncache 1\nrss 2\ntotal_cache 10\ntotal_rss 20"
                .into(),
            resources: vec![Amount::bytes("mem", 600)],
        };
        assert_eq!(exceeded(group, true).unwrap(), Some(killed.clone()));
        fs::write(memory.join("memory.oom_control"), "under_oom 0\noom_kill 1\n").unwrap();
        assert_eq!(exceeded(group, false).unwrap(), Some(killed));
    }

    #[test]
    fn v2_limits_counts_and_tells() {
        let (directory, mut subject) = testing::subject(
            Version::V2,
            &[
                ("c/c/memory.max", "max\n"),
                ("c/c/memory.oom.group", "0\n"),
                ("c/c/memory.current", "500\n"),
                ("c/c/memory.stat", "anon 20\nfile 10\n"),
                ("c/c/memory.events", "low 0\noom 1\noom_kill 0\noom_group_kill 0\n"),
            ],
        );
        let memory = directory.path().join("c/c");
        let mut usage = Usage::default();
        Mem.usage(&subject, &mut usage).unwrap();
        assert_eq!((usage.mem_limit_bytes, usage.mem_max_usage_bytes), (None, None));
        assert_eq!((usage.mem_rss_bytes, usage.mem_cache_bytes), (Some(20), Some(10)));
        limited(&mut subject, 1);
        let read = |name: &str| fs::read_to_string(memory.join(Path::new(name))).unwrap();
        assert_eq!(read("memory.max"), MINIMUM.to_string(), "not less than the least");
        assert_eq!(read("memory.oom.group"), "1");
        let group = &subject.plan.group;
        assert_eq!(exceeded(group, false).unwrap(), None);
        fs::write(memory.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        let used = || exceeded(group, false).unwrap().unwrap().resources[0].clone();
        // Before 5.19 there is no peak.
        assert_eq!(used(), Amount::bytes("mem", MINIMUM));
        fs::write(memory.join("memory.peak"), "7340032\n").unwrap();
        assert_eq!(used(), Amount { name: "mem".into(), milli: 7000 });
    }

    #[test]
    fn sizes_in_mesos_units() {
        assert_eq!([1 << 30, 5 << 20, 3 << 10, 1025].map(bytes), ["1GB", "5MB", "3KB", "1025B"]);
    }
}
