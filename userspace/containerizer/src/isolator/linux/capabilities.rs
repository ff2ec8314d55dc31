//! `linux/capabilities`: what root may do in a container, capabilities(7).
//!
//! The agent has a set that commands have unless their task names another, and one that
//! bounds all of them; both are Docker's by default. A task may name a smaller bound, and any
//! effective set within it: that one its command has whatever user it runs as.

use crate::capability::{self, CapabilitySet};
use crate::isolator::{Draft, Isolation, Isolator, Request};
use crate::{ContainerSpec, Error};

/// The isolator.
pub(in crate::isolator) struct Capabilities {
    effective: CapabilitySet,
    bounding: CapabilitySet,
}

impl Capabilities {
    /// With its flags.
    pub(in crate::isolator) fn new(flags: &Isolation) -> Result<Self, Error> {
        let bounding = flags.bounding_capabilities;
        let effective = match flags.effective_capabilities {
            Some(effective) => effective,
            None => CapabilitySet::DOCKER.intersection(bounding),
        };
        if let Some(excess) = effective.without(bounding) {
            return Err(Error::Config {
                field: "effective_capabilities",
                reason: format!("{excess} is not in --bounding-capabilities"),
            });
        }
        Ok(Self { effective, bounding })
    }

    fn of(&self, spec: &ContainerSpec) -> Result<capability::Capabilities, Error> {
        let bounding = spec.bounding_capabilities.unwrap_or(self.bounding);
        let usual = self.effective.intersection(bounding);
        let effective = spec.effective_capabilities.unwrap_or(usual);
        for (field, excess, bound) in [
            ("bounding_capabilities", bounding.without(self.bounding), "--bounding-capabilities"),
            ("effective_capabilities", effective.without(bounding), "the bounding capabilities"),
        ] {
            if let Some(excess) = excess {
                return Err(Error::Spec { field, reason: format!("{excess} is not in {bound}") });
            }
        }
        let ambient = spec.effective_capabilities.is_some();
        Ok(capability::Capabilities { effective, bounding, ambient })
    }
}

impl Isolator for Capabilities {
    fn prepare(&self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Error> {
        draft.capabilities(self.of(request.spec)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolator::testing::spec;

    fn set(names: &str) -> CapabilitySet {
        names.parse().unwrap()
    }

    fn agent(effective: Option<&str>, bounding: &str) -> Result<Capabilities, Error> {
        Capabilities::new(&Isolation {
            effective_capabilities: effective.map(set),
            bounding_capabilities: set(bounding),
            ..Isolation::default()
        })
    }

    fn task(effective: Option<&str>, bounding: Option<&str>) -> ContainerSpec {
        ContainerSpec {
            effective_capabilities: effective.map(set),
            bounding_capabilities: bounding.map(set),
            ..spec()
        }
    }

    #[test]
    fn dockers_unless_somebody_says_otherwise() {
        let usual = Capabilities::new(&Isolation::default()).unwrap().of(&spec()).unwrap();
        let docker = CapabilitySet::DOCKER;
        assert_eq!((usual.effective, usual.bounding, usual.ambient), (docker, docker, false));
        let few = agent(None, "KILL,SYS_ADMIN").unwrap().of(&spec()).unwrap();
        assert_eq!((few.effective, few.bounding), (set("KILL"), set("KILL,SYS_ADMIN")));
        let fewer = agent(Some("CHOWN"), "KILL,CHOWN").unwrap().of(&spec()).unwrap();
        assert_eq!((fewer.effective, fewer.bounding), (set("CHOWN"), set("KILL,CHOWN")));
    }

    #[test]
    fn a_task_chooses_within_the_agents_bound() {
        let agent = agent(None, "KILL,CHOWN,NET_ADMIN").unwrap();
        let of = |effective, bounding| agent.of(&task(effective, bounding)).unwrap();
        let own = of(Some("NET_ADMIN"), None);
        assert_eq!((own.effective, own.ambient), (set("NET_ADMIN"), true));
        assert_eq!(own.bounding, set("KILL,CHOWN,NET_ADMIN"));
        let bound = of(None, Some("CHOWN,NET_ADMIN"));
        assert_eq!((bound.effective, bound.ambient), (set("CHOWN"), false));
        assert_eq!(of(Some(""), Some("")).effective, set(""));
    }

    #[test]
    fn more_than_that_is_refused_by_name() {
        let error = agent(Some("KILL,BPF"), "KILL").err().unwrap().to_string();
        assert_eq!(error, "effective_capabilities: BPF is not in --bounding-capabilities");
        let agent = agent(None, "KILL,CHOWN").unwrap();
        let refused =
            |effective, bounding| agent.of(&task(effective, bounding)).unwrap_err().to_string();
        assert_eq!(
            refused(Some("SYS_ADMIN"), None),
            "effective_capabilities: SYS_ADMIN is not in the bounding capabilities"
        );
        assert_eq!(
            refused(Some("KILL"), Some("CHOWN")),
            "effective_capabilities: KILL is not in the bounding capabilities"
        );
        assert_eq!(
            refused(None, Some("CHOWN,SYS_ADMIN,BPF")),
            "bounding_capabilities: SYS_ADMIN,BPF is not in --bounding-capabilities"
        );
    }
}
