//! `posix/rlimits`: resource limits of the command and all that it forks, setrlimit(2).

use crate::Error;
use crate::isolator::{Draft, Isolator, Request};

/// The isolator.
pub(in crate::isolator) struct Rlimits;

impl Isolator for Rlimits {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        request.spec.rlimits.iter().try_for_each(|limit| draft.rlimit(*limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing::{plan, spec};
    use crate::{ContainerSpec, Rlimit, RlimitKind};

    #[test]
    fn each_once() {
        let limit = |kind, soft| Rlimit { kind, soft: Some(soft), hard: None };
        let (files, core) = (limit(RlimitKind::Nofile, 64), limit(RlimitKind::Core, 0));
        let planned = |rlimits: Vec<Rlimit>| {
            let spec = ContainerSpec { rlimits, ..spec() };
            let planned = plan(&[("posix/rlimits", &Rlimits)], &spec, None);
            planned.map(|plan| plan.process.rlimits).map_err(|error| error.to_string())
        };
        assert_eq!(planned(vec![files, core]).unwrap(), [files, core]);
        let error = planned(vec![files, limit(RlimitKind::Nofile, 65)]).unwrap_err();
        assert!(error.starts_with("RLMT_NOFILE: posix/rlimits has decided it"), "{error}");
    }
}
