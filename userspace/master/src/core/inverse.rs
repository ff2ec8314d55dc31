//! Inverse offers: frameworks are asked to leave agents whose machines will be down.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::scheduler::{Event, event};
use muster_api::mesos::{Filters, InverseOffer as InverseOfferMessage, OfferId};

use super::Master;
use super::allocation::agree;
use super::offers::{refusal, url};

/// A framework is asked to leave an agent.
#[derive(Clone, Debug)]
pub(super) struct InverseOffer {
    pub(super) framework: String,
    pub(super) agent: String,
    /// When, since 1970.
    pub(super) made: Duration,
}

/// What a framework says to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) leaves: bool,
    /// When, since 1970.
    pub(super) given: Duration,
}

impl Master {
    /// Asks whoever the allocator says.
    pub(super) fn offer_inversely(&mut self, now: Duration) {
        let mut asked: BTreeMap<String, Vec<InverseOfferMessage>> = BTreeMap::new();
        for offer in self.allocator.inverse_offers(now) {
            let Some(agent) = self.agents.get(&offer.agent) else { continue };
            let Some(unavailability) = agent.unavailability else { continue };
            let id = format!("{}-O{}", self.options.master_id, self.next_id.offer);
            self.next_id.offer += 1;
            let message = InverseOfferMessage {
                id: id.as_str().into(),
                url: Some(url(agent)),
                framework_id: offer.framework.as_str().into(),
                agent_id: Some(offer.agent.as_str().into()),
                unavailability,
                resources: Vec::new(),
            };
            asked.entry(offer.framework.clone()).or_default().push(message);
            let offer = InverseOffer { framework: offer.framework, agent: offer.agent, made: now };
            self.maintenance.offers.insert(id, offer);
        }
        for (framework, inverse_offers) in asked {
            let inverse_offers = Some(event::InverseOffers { inverse_offers });
            let mut event = Event { inverse_offers, ..Event::default() };
            event.set_type(event::Type::InverseOffers);
            self.say_to_framework(&framework, event);
        }
    }

    /// Takes a framework's answer: whether it leaves.
    pub(super) fn answer_inversely(
        &mut self,
        now: Duration,
        framework: &str,
        ids: &[OfferId],
        leaves: bool,
        filters: Option<&Filters>,
    ) {
        let refuse = refusal(filters);
        for id in ids {
            let known = self.maintenance.offers.get(&id.value);
            if known.is_none_or(|offer| offer.framework != framework) {
                tracing::debug!(framework, offer = id.value, "inverse offer is no longer valid");
                continue;
            }
            let Some(offer) = self.maintenance.offers.remove(&id.value) else { continue };
            let agent = &offer.agent;
            agree(self.allocator.answer_inverse_offer(now, framework, agent, Some(leaves), refuse));
            let of = (offer.agent, offer.framework);
            self.maintenance.answers.insert(of, Answer { leaves, given: now });
        }
    }

    fn rescind_inversely(&mut self, now: Duration, matches: impl Fn(&InverseOffer) -> bool) {
        let ids: Vec<String> = self
            .maintenance
            .offers
            .iter()
            .filter(|(_, offer)| matches(offer))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let Some(offer) = self.maintenance.offers.remove(&id) else { continue };
            let InverseOffer { framework, agent, .. } = &offer;
            if self.allocator.has_agent(agent) && self.allocator.has_framework(framework) {
                agree(self.allocator.answer_inverse_offer(now, framework, agent, None, None));
            }
            let inverse_offer_id = id.as_str().into();
            let mut event = Event {
                rescind_inverse_offer: Some(event::RescindInverseOffer { inverse_offer_id }),
                ..Event::default()
            };
            event.set_type(event::Type::RescindInverseOffer);
            self.say_to_framework(framework, event);
        }
    }

    /// Takes back all offers of an agent, of either kind.
    pub(super) fn withdraw_agent(&mut self, now: Duration, agent: &str) {
        self.rescind_offers(now, |offer| offer.agent == agent);
        self.rescind_inversely(now, |offer| offer.agent == agent);
    }

    /// Takes back all offers to a framework, of either kind.
    pub(super) fn withdraw_framework(&mut self, now: Duration, framework: &str) {
        self.rescind_offers(now, |offer| offer.framework == framework);
        self.rescind_inversely(now, |offer| offer.framework == framework);
    }

    /// Takes back offers that have not been answered in time, of either kind.
    pub(super) fn rescind_old_offers(&mut self, now: Duration) {
        if let Some(timeout) = self.options.offer_timeout {
            self.rescind_offers(now, |offer| now >= offer.made + timeout);
            self.rescind_inversely(now, |offer| now >= offer.made + timeout);
        }
    }
}
