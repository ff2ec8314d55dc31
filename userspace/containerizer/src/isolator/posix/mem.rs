//! `posix/mem`: counts memory, and limits nothing: the sum of what its processes have in RAM
//! (`/proc/<pid>/statm`). What they share counts for each.

use std::fs;

use crate::isolator::{Isolator, Subject};
use crate::{Error, Usage};

/// The isolator.
pub(in crate::isolator) struct Mem;

impl Isolator for Mem {
    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let processes = subject.plan.group.processes()?;
        // One that cannot be read has just ended.
        let resident = |process: u32| {
            let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
            text.split(' ').nth(1)?.parse::<u64>().ok()
        };
        let pages: u64 = processes.into_iter().filter_map(resident).sum();
        let bytes = pages.saturating_mul(procfs::page_size());
        usage.mem_rss_bytes = Some(bytes);
        usage.mem_total_bytes = Some(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    #[test]
    fn adds_up_processes_that_are_still_there() {
        let procs = format!("{}\n4194999\n", std::process::id());
        let (_directory, subject) =
            testing::subject(Version::V2, &[("c/c/cgroup.procs", procs.as_str())]);
        let mut usage = Usage::default();
        Mem.usage(&subject, &mut usage).unwrap();
        let resident = usage.mem_rss_bytes.unwrap();
        assert!((1 << 20..1 << 30).contains(&resident), "{resident}");
    }
}
