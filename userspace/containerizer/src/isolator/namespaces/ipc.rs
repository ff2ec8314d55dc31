//! `namespaces/ipc`: a container's own System V IPC, POSIX message queues and /dev/shm. A task
//! may want to have those of the container around it instead, or the agent's
//! (`LinuxInfo.ipc_mode`).

use std::path::Path;

use crate::cgroup::file;
use crate::isolator::{Draft, Isolation, Isolator, Request};
use crate::launch::plan::{Attributes, Mount, Namespace, What};
use crate::{Error, IpcMode};

const SHM: &str = "/dev/shm";

/// The isolator.
pub(in crate::isolator) struct Ipc {
    sharing: bool,
    shm_bytes: u64,
}

impl Ipc {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self { sharing: !flags.disallow_sharing_ipc_namespace, shm_bytes: flags.shm_bytes }
    }
}

impl Isolator for Ipc {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let refuse = |field, reason: &str| Err(Error::Spec { field, reason: reason.to_owned() });
        match request.spec.ipc_mode {
            IpcMode::Private => {
                draft.namespace(Namespace::Ipc);
                draft.mount(shm(request.spec.shm_bytes.unwrap_or(self.shm_bytes)))?;
            }
            IpcMode::ShareParent if !self.sharing && request.parent.is_none() => {
                let reason = "this agent has --disallow-sharing-agent-ipc-namespace";
                return refuse("ipc_mode", reason);
            }
            IpcMode::ShareParent if request.spec.shm_bytes.is_some() => {
                return refuse("shm_bytes", "a shared /dev/shm is as large as it is");
            }
            IpcMode::ShareParent if request.parent.is_some() => {
                let (what, target) = (What::Parent(SHM.into()), SHM.into());
                draft.mount(Mount { target, what, attributes: Attributes::QUIET })?;
            }
            IpcMode::ShareParent => {
                draft.mount(Mount::host(Path::new(SHM), SHM, Attributes::QUIET))?;
            }
        }
        let known = file::read("/proc/filesystems".as_ref())?;
        // A kernel may be without POSIX message queues. Whose they are, the namespace says.
        if known.lines().any(|line| line.ends_with("\tmqueue")) {
            draft.mount(Mount::new("mqueue", "/dev/mqueue", Attributes::QUIET, ""))?;
        }
        Ok(())
    }
}

/// A /dev/shm of its own.
pub(in crate::isolator) fn shm(bytes: u64) -> Mount {
    Mount::new("tmpfs", SHM, Attributes::QUIET, format!("mode=1777,size={bytes}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing::{plan, spec};
    use crate::launch::plan::Plan;

    fn planned(spec: &ContainerSpec, flags: &Isolation) -> Result<Plan, String> {
        let planned = plan(&[("namespaces/ipc", &Ipc::new(flags))], spec, None);
        planned.map_err(|error| error.to_string())
    }

    #[test]
    fn its_own_of_the_size_that_is_wanted() {
        for (shm_bytes, size) in [(None, "67108864"), (Some(4096), "4096")] {
            let spec = ContainerSpec { shm_bytes, ..spec() };
            let plan = planned(&spec, &Isolation::default()).unwrap();
            assert!(plan.namespaces.contains(&Namespace::Ipc));
            let options = format!("mode=1777,size={size}");
            assert_eq!(plan.mounts[0].what, What::New { filesystem: "tmpfs".into(), options });
        }
    }

    #[test]
    fn the_agents_if_it_may_and_as_it_is() {
        let shared = ContainerSpec { ipc_mode: IpcMode::ShareParent, ..spec() };
        let plan = planned(&shared, &Isolation::default()).unwrap();
        assert!(plan.namespaces.is_empty());
        assert_eq!(plan.mounts[0], Mount::host(Path::new(SHM), SHM, Attributes::QUIET));
        let flags = Isolation { disallow_sharing_ipc_namespace: true, ..Isolation::default() };
        let error = planned(&shared, &flags).unwrap_err();
        assert!(error.starts_with("ipc_mode: this agent has --disallow"), "{error}");
        let sized = ContainerSpec { shm_bytes: Some(1), ..shared };
        let error = planned(&sized, &Isolation::default()).unwrap_err();
        assert!(error.starts_with("shm_bytes: "), "{error}");
    }
}
