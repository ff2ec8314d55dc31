//! `disk/xfs`: limits the disk space of a container by a project quota. It cannot write more than
//! it is promised (`EDQUOT`), or is killed for it with `--xfs-kill-containers`. Like Mesos'
//! isolator of that name, but for every filesystem with project quotas.

use super::keeper::{Enforcement, Keeper};
use crate::isolator::Isolation;

/// How far above its limit a container comes before it is killed: Mesos'.
const MARGIN: u64 = 10 << 20;

/// The isolator with these flags.
pub(in crate::isolator) fn xfs(flags: &Isolation) -> Keeper {
    let margin = flags.xfs_kill_containers.then_some(MARGIN);
    Keeper::new("disk/xfs", flags, Enforcement::Projects { margin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing;

    #[test]
    fn says_what_it_needs() {
        // A filesystem in memory has no projects.
        let sandbox = tempfile::tempdir_in("/dev/shm").unwrap();
        let spec = ContainerSpec { sandbox: sandbox.path().into(), ..testing::spec() };
        let xfs = xfs(&Isolation::default());
        let error = testing::plan(&[("disk/xfs", &xfs)], &spec, None).unwrap_err().to_string();
        assert!(error.ends_with("mount it with the option prjquota, or use disk/du"), "{error}");
    }
}
