//! `posix/cpu`: counts CPU time, and limits nothing. The v2 tree counts it (`cpu.stat`) without
//! any controller.

use crate::cgroup::file;
use crate::isolator::{Isolator, Subject};
use crate::{Error, Usage};

/// The isolator.
pub(in crate::isolator) struct Cpu;

impl Isolator for Cpu {
    fn usage(&self, subject: &Subject, usage: &mut Usage) -> Result<(), Error> {
        let text = file::read(&subject.plan.group.unified.join("cpu.stat"))?;
        usage.cpus_user_time_secs = file::seconds(&text, "user_usec");
        usage.cpus_system_time_secs = file::seconds(&text, "system_usec");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;

    #[test]
    fn counts_in_the_v2_tree() {
        let text = "usage_usec 3000000\nuser_usec 2500000\nsystem_usec 500000\n";
        for (version, path) in
            [(Version::V1, "c/unified/c/cpu.stat"), (Version::V2, "c/c/cpu.stat")]
        {
            let (_directory, subject) = testing::subject(version, &[(path, text)]);
            let mut usage = Usage::default();
            Cpu.usage(&subject, &mut usage).unwrap();
            let expected = (Some(2.5), Some(0.5));
            assert_eq!((usage.cpus_user_time_secs, usage.cpus_system_time_secs), expected);
        }
    }
}
