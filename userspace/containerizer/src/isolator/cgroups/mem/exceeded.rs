//! How a container ended whose memory ran out.

use super::{limit, max_usage};
use crate::cgroup::{Controller, Group, Version, file, oom};
use crate::limitation::{Amount, bytes};
use crate::{Cause, Error, Limitation};

/// What a group went over in which memory ran out: if that is `known`, or if the kernel
/// killed something for want of it.
pub(crate) fn exceeded(group: &Group, known: bool) -> Result<Option<Limitation>, Error> {
    let place = group.place(Controller::Memory)?;
    let killed = || match place.version {
        Version::V1 => {
            let events = file::read(&place.directory.join("memory.oom_control"))?;
            Ok(file::field(&events, "oom_kill").is_some_and(|kills| kills > 0))
        }
        Version::V2 => oom::ran_out(place.directory),
    };
    if !known && !killed()? {
        return Ok(None);
    }
    let limit = limit(place)?;
    // Before 5.19 v2 does not keep it; at the limit is where it was.
    let used = max_usage(place)?.or(limit).unwrap_or_default();
    let statistics = file::read(&place.directory.join("memory.stat"))?;
    Ok(Some(Limitation {
        cause: Cause::Memory,
        // As Mesos says it.
        message: format!(
            "Memory limit exceeded: Requested: {} Maximum Used: {}\n\nMEMORY STATISTICS: \n{}",
            // Without one it was the machine's memory that ran out.
            limit.map_or("unlimited".to_owned(), bytes),
            bytes(used),
            statistics.trim_end()
        ),
        resources: vec![Amount::bytes("mem", used)],
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::isolator::testing;

    #[test]
    fn v1_tells_by_the_event_or_the_counter() {
        let (directory, subject) = testing::subject(
            Version::V1,
            &[
                ("c/memory/c/memory.limit_in_bytes", "67108864\n"),
                ("c/memory/c/memory.max_usage_in_bytes", "600\n"),
                ("c/memory/c/memory.stat", "cache 1\nrss 2\n"),
                ("c/memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
            ],
        );
        let memory = directory.path().join("c/memory/c");
        let group = &subject.plan.group;
        assert_eq!(exceeded(group, false).unwrap(), None);
        let killed = Limitation {
            cause: Cause::Memory,
            message: "Memory limit exceeded: Requested: 64MB Maximum Used: 600B\n\n\
                      MEMORY STATISTICS: \ncache 1\nrss 2"
                .into(),
            resources: vec![Amount::bytes("mem", 600)],
        };
        assert_eq!(exceeded(group, true).unwrap(), Some(killed.clone()));
        fs::write(memory.join("memory.oom_control"), "under_oom 0\noom_kill 1\n").unwrap();
        assert_eq!(exceeded(group, false).unwrap(), Some(killed));
    }

    #[test]
    fn v2_tells_by_the_counter_and_without_a_peak() {
        let (directory, subject) = testing::subject(
            Version::V2,
            &[
                ("c/c/memory.max", "33554432\n"),
                ("c/c/memory.stat", "anon 20\nfile 10\n"),
                ("c/c/memory.events", "low 0\noom 1\noom_kill 0\noom_group_kill 0\n"),
                ("c/c/memory.events.local", "oom 1\noom_kill 0\n"),
            ],
        );
        let memory = directory.path().join("c/c");
        let group = &subject.plan.group;
        assert_eq!(exceeded(group, false).unwrap(), None);
        fs::write(memory.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        let used = || exceeded(group, false).unwrap().unwrap().resources[0].clone();
        assert_eq!(used(), Amount { name: "mem".into(), milli: 32_000 });
        fs::write(memory.join("memory.peak"), "7340032\n").unwrap();
        assert_eq!(used(), Amount { name: "mem".into(), milli: 7000 });
        fs::write(memory.join("memory.max"), "max\n").unwrap();
        let message = exceeded(group, false).unwrap().unwrap().message;
        assert!(
            message.starts_with("Memory limit exceeded: Requested: unlimited Max"),
            "{message}"
        );
    }

    #[test]
    fn sizes_in_mesos_units() {
        assert_eq!([1 << 30, 5 << 20, 3 << 10, 1025].map(bytes), ["1GB", "5MB", "3KB", "1025B"]);
        assert_eq!([(64 << 20) + 1, 0].map(bytes), ["67108865B", "0B"]);
    }
}
