//! What becomes of offers, and of tasks.

use muster_resources::Resources;

use super::Simulator;
use crate::command::{Accept, Decline, Release};
use crate::error::{Problem, Refusal, at, refused};
use crate::place::Place;

impl Simulator {
    pub(super) fn accept(&mut self, accept: Accept) -> Result<(), Refusal> {
        const NAME: &str = "accept";
        let Accept { framework, agent, role, resources, rest } = accept;
        let resources = resources.0.unallocated();
        let place = Place { framework, role, agent };
        let offered = self.offered(NAME, &place)?;
        if !offered.contains(&resources) {
            return Err(at(format!("{NAME}.resources"))(Problem::NotThere {
                wanted: format!("{resources:#}"),
                of: "the offer".to_owned(),
                there: format!("{offered:#}"),
            }));
        }
        let left = offered - &resources;
        let Place { framework, role, agent } = &place;
        self.allocator
            .launch(framework, role, agent, &resources)
            .map_err(refused(NAME, "framework"))?;
        let refuse = Some(rest.refuse_seconds.0);
        self.allocator
            .recover(self.now, framework, role, agent, &left, refuse)
            .map_err(refused(NAME, "framework"))?;
        self.offers.remove(&place);
        Ok(())
    }

    pub(super) fn decline(&mut self, decline: Decline) -> Result<(), Refusal> {
        const NAME: &str = "decline";
        let Decline { framework, agent, role, refuse_seconds } = decline;
        let place = Place { framework, role, agent };
        let offered = self.offered(NAME, &place)?;
        let Place { framework, role, agent } = &place;
        self.allocator
            .recover(self.now, framework, role, agent, &offered, Some(refuse_seconds.0))
            .map_err(refused(NAME, "framework"))?;
        self.offers.remove(&place);
        Ok(())
    }

    pub(super) fn release(&mut self, release: Release) -> Result<(), Refusal> {
        const NAME: &str = "release";
        let Release { framework, agent, role, resources } = release;
        let resources = resources.0.unallocated();
        let place = Place { framework, role, agent };
        self.check_known(NAME, &place)?;
        let used = self.used(&place);
        if !used.contains(&resources) {
            return Err(at(format!("{NAME}.resources"))(Problem::NotThere {
                wanted: format!("{resources:#}"),
                of: format!("what tasks of {place} use"),
                there: format!("{used:#}"),
            }));
        }
        let Place { framework, role, agent } = &place;
        self.allocator
            .finish(framework, role, agent, &resources)
            .map_err(refused(NAME, "framework"))
    }

    /// What is offered and not answered.
    fn offered(&self, command: &str, place: &Place) -> Result<Resources, Refusal> {
        self.check_known(command, place)?;
        let offered = self.offers.get(place).cloned();
        offered.ok_or_else(|| at(command)(Problem::NotOffered(place.clone())))
    }

    /// Whether there are such a framework and such an agent at all.
    pub(super) fn check_known(&self, command: &str, place: &Place) -> Result<(), Refusal> {
        if !self.allocator.has_framework(&place.framework) {
            let error = muster_allocator::Error::UnknownFramework(place.framework.clone());
            return Err(refused(command, "framework")(error));
        }
        self.allocator.total(&place.agent).map(|_| ()).map_err(refused(command, "agent"))
    }
}
