//! Allocation cycles.

use muster_allocator::{Grant, InverseOffer};
use serde_json::{Value as Json, json};

use super::Simulator;
use crate::command::Allocate;
use crate::error::{Refusal, at};
use crate::place::Place;
use crate::seconds::Seconds;
use crate::stuff::shown;

impl Simulator {
    /// Runs a cycle over all agents, or over some.
    pub(super) fn allocate(&mut self, allocate: Allocate) -> Result<Json, Refusal> {
        let (mut grants, asked) = match allocate.agents {
            None => {
                let grants = self.allocator.allocate(self.now);
                (grants, self.allocator.inverse_offers(self.now))
            }
            Some(agents) => {
                for (index, agent) in agents.iter().enumerate() {
                    self.allocator.total(agent).map_err(at(format!("allocate.agents[{index}]")))?;
                }
                let grants = self.allocator.allocate_agents(self.now, &agents);
                (grants, self.allocator.inverse_offers_of(self.now, &agents))
            }
        };
        grants.sort_by(|a, b| {
            (&a.framework, &a.role, &a.agent).cmp(&(&b.framework, &b.role, &b.agent))
        });
        let offers: Vec<Json> = grants.into_iter().map(|grant| self.offer(grant)).collect();
        let inverse_offers: Vec<Json> =
            asked.into_iter().map(|inverse| self.inverse_offer(inverse)).collect();
        Ok(json!({ "offers": offers, "inverse_offers": inverse_offers }))
    }

    /// Notes what is offered. What is offered in several cycles without an answer between is
    /// one offer.
    fn offer(&mut self, grant: Grant) -> Json {
        let Grant { framework, role, agent, resources } = grant;
        let json = json!({
            "framework": framework,
            "role": role,
            "agent": agent,
            "resources": shown(&resources),
        });
        let place = Place { framework, role, agent };
        *self.offers.entry(place).or_default() += resources.unallocated();
        json
    }

    fn inverse_offer(&mut self, inverse: InverseOffer) -> Json {
        let InverseOffer { framework, agent, unavailability } = inverse;
        let mut json = json!({
            "framework": framework,
            "agent": agent,
            "start": Seconds(unavailability.start).json(),
        });
        if let Some(duration) = unavailability.duration {
            json["duration"] = Seconds(duration).json();
        }
        self.asked.insert((framework, agent));
        json
    }
}
