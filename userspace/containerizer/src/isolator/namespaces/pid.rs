//! `namespaces/pid`: a container's own numbers of processes. Its command is process 1, and
//! everything ends with it. A task may want to see those of the container around it instead, or
//! the agent's (`LinuxInfo.share_pid_namespace`).

use crate::Error;
use crate::isolator::{Draft, Isolation, Isolator, Request};
use crate::launch::plan::Namespace;

/// The isolator.
pub(in crate::isolator) struct Pid {
    sharing: bool,
}

impl Pid {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Self {
        Self { sharing: !flags.disallow_sharing_pid_namespace }
    }
}

impl Isolator for Pid {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        let sharing = self.sharing || request.parent.is_some();
        match (request.spec.share_pid_namespace, sharing) {
            (false, _) => {
                draft.namespace(Namespace::Pid);
                Ok(())
            }
            (true, true) => Ok(()),
            (true, false) => Err(Error::Spec {
                field: "share_pid_namespace",
                reason: "this agent has --disallow-sharing-agent-pid-namespace".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerSpec;
    use crate::isolator::testing::{plan, spec};

    #[test]
    fn its_own_unless_it_shares_and_may() {
        let own = |share_pid_namespace, disallow_sharing_pid_namespace| {
            let flags = Isolation { disallow_sharing_pid_namespace, ..Isolation::default() };
            let spec = ContainerSpec { share_pid_namespace, ..spec() };
            let plan = plan(&[("namespaces/pid", &Pid::new(&flags))], &spec, None);
            plan.map(|plan| plan.namespaces.contains(&Namespace::Pid)).ok()
        };
        assert_eq!((own(false, false), own(false, true)), (Some(true), Some(true)));
        assert_eq!((own(true, false), own(true, true)), (Some(false), None));
    }
}
