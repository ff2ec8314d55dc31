//! Offers are made, accepted, declined and taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::framework_info::capability;
use muster_api::mesos::offer::operation;
use muster_api::mesos::resource::AllocationInfo;
use muster_api::mesos::scheduler::{Event, call, event};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    Filters, Offer as OfferMessage, OfferId, OperationState, OperationStatus, TaskInfo, TaskState,
};
use muster_api::muster::Launch;
use muster_api::muster::master_message::Message as ToAgent;
use muster_resources::Resources;

use super::allocation::agree;
use super::{Agent, Master, Offer, launch};

/// Mesos' default of `Filters.refuse_seconds`.
const REFUSE: Duration = Duration::from_secs(5);
/// Longest filter; more is cut, as in Mesos.
const MAX_REFUSE: Duration = Duration::from_hours(365 * 24);

impl Master {
    /// Runs the allocator, if that is wanted, and sends what it grants: over all agents when
    /// it is time for it, else only over those that something has happened to.
    pub fn allocate(&mut self, now: Duration) {
        let grants = if std::mem::take(&mut self.allocate) {
            self.last_allocation = now;
            self.allocator.allocate(now)
        } else if self.allocator.has_candidates() {
            self.allocator.allocate_candidates(now)
        } else {
            return;
        };
        let mut offers: BTreeMap<String, Vec<OfferMessage>> = BTreeMap::new();
        for grant in grants {
            let id = format!("{}-O{}", self.options.master_id, self.next_id.offer);
            self.next_id.offer += 1;
            let offer = Offer {
                framework: grant.framework,
                role: grant.role,
                agent: grant.agent,
                resources: grant.resources.unallocated(),
                made: now,
            };
            let Some(agent) = self.agents.get(&offer.agent) else { continue };
            let mut told = message(&id, &offer, agent);
            let there = self.executors_on(&offer.agent).filter(|(key, _)| key.0 == offer.framework);
            told.executor_ids = there.map(|(key, _)| key.2.as_str().into()).collect();
            offers.entry(offer.framework.clone()).or_default().push(told);
            self.offers.insert(id, offer);
            self.counters.offers += 1;
        }
        for (framework, offers) in offers {
            let mut event = Event { offers: Some(event::Offers { offers }), ..Event::default() };
            event.set_type(event::Type::Offers);
            self.say_to_framework(&framework, event);
        }
        self.offer_inversely(now);
    }

    /// Takes back the offers that match, and tells their frameworks.
    pub(super) fn rescind_offers(&mut self, now: Duration, matches: impl Fn(&Offer) -> bool) {
        let ids: Vec<String> = self
            .offers
            .iter()
            .filter(|(_, offer)| matches(offer))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.rescind_offer(now, &id);
        }
    }

    /// Takes back one offer, and tells its framework.
    pub(super) fn rescind_offer(&mut self, now: Duration, id: &str) {
        let Some(offer) = self.take_offer(now, id, None) else { return };
        let mut event =
            Event { rescind: Some(event::Rescind { offer_id: id.into() }), ..Event::default() };
        event.set_type(event::Type::Rescind);
        self.say_to_framework(&offer.framework, event);
    }

    /// Gives an offer's resources back to the allocator.
    fn take_offer(&mut self, now: Duration, id: &str, filter: Option<Duration>) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        agree(self.allocator.recover(
            now,
            &offer.framework,
            &offer.role,
            &offer.agent,
            &offer.resources,
            filter,
        ));
        Some(offer)
    }

    pub(super) fn decline(&mut self, now: Duration, framework: &str, decline: call::Decline) {
        let filter = refusal(decline.filters.as_ref());
        for id in decline.offer_ids {
            if self.offers.get(&id.value).is_some_and(|offer| offer.framework == framework) {
                self.take_offer(now, &id.value, filter);
            } else {
                tracing::debug!(framework, offer = id.value, "declined offer is no longer valid");
            }
        }
    }

    pub(super) fn revive(&mut self, framework: &str, roles: &[String]) {
        if let Some(framework) = self.frameworks.get_mut(framework) {
            if roles.is_empty() {
                framework.suppressed.clear();
            }
            for role in roles {
                framework.suppressed.remove(role);
            }
        }
        if let Err(error) = self.allocator.revive(framework, roles) {
            tracing::warn!(framework, %error, "REVIVE ignored");
        }
    }

    pub(super) fn suppress(&mut self, framework: &str, roles: &[String]) {
        if let Some(framework) = self.frameworks.get_mut(framework) {
            let all = if roles.is_empty() { framework.roles() } else { roles.to_vec() };
            framework.suppressed.extend(all);
        }
        if let Err(error) = self.allocator.suppress(framework, roles) {
            tracing::warn!(framework, %error, "SUPPRESS ignored");
        }
    }

    /// Carries out operations on offers of one agent and role; the rest goes back.
    pub(super) fn accept(&mut self, now: Duration, framework: &str, accept: call::Accept) {
        let filter = refusal(accept.filters.as_ref());
        let offers = self.claim_offers(now, framework, &accept.offer_ids);
        let mut pool = match &offers {
            Ok(offers) => offers.resources.clone(),
            Err(_) => Resources::default(),
        };
        for operation in accept.operations {
            let kind = operation.r#type();
            let tasks = match kind {
                operation::Type::Launch => {
                    operation.launch.map(|launch| launch.task_infos).unwrap_or_default()
                }
                operation::Type::LaunchGroup => {
                    if let Some(group) = operation.launch_group {
                        match &offers {
                            Ok(offers) => {
                                self.launch_group(now, framework, offers, &mut pool, group);
                            }
                            Err(reason) => {
                                let end = (TaskState::TaskDropped, Reason::InvalidOffers);
                                let tasks = &group.task_group.tasks;
                                self.fail_group(now, framework, tasks, end, reason);
                            }
                        }
                    }
                    continue;
                }
                _ => {
                    self.refuse_operation(framework, operation.id, kind);
                    continue;
                }
            };
            for task in tasks {
                match &offers {
                    Ok(offers) => self.launch(now, framework, offers, &mut pool, task),
                    Err(reason) => self.fail_launch(
                        now,
                        framework,
                        &task,
                        TaskState::TaskDropped,
                        Reason::InvalidOffers,
                        reason,
                    ),
                }
            }
        }
        if let Ok(offers) = offers {
            agree(self.allocator.recover(
                now,
                framework,
                &offers.role,
                &offers.agent,
                &pool,
                filter,
            ));
        }
    }

    /// Takes the named offers out as one pool, if they are valid together; those that
    /// are valid go back if others are not.
    fn claim_offers(
        &mut self,
        now: Duration,
        framework: &str,
        ids: &[OfferId],
    ) -> Result<Offer, String> {
        let mut valid = Vec::new();
        let mut problem = None;
        for id in ids {
            match self.offers.get(&id.value) {
                Some(offer) if offer.framework != framework => {
                    problem = Some(format!("offer {id} is not this framework's"));
                }
                Some(offer) => {
                    let other =
                        valid.first().and_then(|first: &&OfferId| self.offers.get(&first.value));
                    if other.is_some_and(|other| {
                        (&other.agent, &other.role) != (&offer.agent, &offer.role)
                    }) {
                        problem = Some("the offers are of different agents or roles".to_owned());
                    }
                    if valid.contains(&id) {
                        problem = Some(format!("offer {id} is named twice"));
                    } else {
                        valid.push(id);
                    }
                }
                None => problem = Some(format!("offer {id} is no longer valid")),
            }
        }
        if let Some(problem) = problem {
            for id in valid {
                self.take_offer(now, &id.value, None);
            }
            return Err(problem);
        }
        let mut offers = valid.iter().filter_map(|id| self.offers.remove(&id.value));
        let mut pool = offers.next().ok_or("no offer is named")?;
        for offer in offers {
            pool.resources += &offer.resources;
        }
        Ok(pool)
    }

    fn launch(
        &mut self,
        now: Duration,
        framework: &str,
        offer: &Offer,
        pool: &mut Resources,
        mut task: TaskInfo,
    ) {
        offer.mark(&mut task.resources);
        let key = (framework.to_owned(), task.task_id.value.clone());
        let checked = if self.tasks.contains_key(&key) {
            Err(format!("Task has duplicate id {:?}", key.1))
        } else {
            launch::check(&task, &offer.agent, pool).and_then(|resources| {
                let Some(info) = task.executor.take() else { return Ok((resources, None)) };
                let (info, started) =
                    self.check_executor(framework, offer, info, &resources, pool)?;
                task.executor = Some(info);
                Ok((resources, started))
            })
        };
        let (resources, started) = match checked {
            Ok(checked) => checked,
            Err(message) => {
                return self.fail_launch(
                    now,
                    framework,
                    &task,
                    TaskState::TaskError,
                    Reason::TaskInvalid,
                    &message,
                );
            }
        };
        let launch_executor = started.is_some();
        if let Some((key, executor)) = started {
            self.start_executor(offer, pool, key, executor);
        }
        let known = self.frameworks.get(framework);
        let message = Launch {
            framework_id: Some(framework.into()),
            task: Some(task.clone()),
            tell_killing: known.is_some_and(|f| f.has(capability::Type::TaskKillingState)),
            framework: known.map(|f| f.info.clone()),
            launch_executor,
        };
        self.stage_task(now, offer, pool, task, resources);
        self.say_to_agent(&offer.agent, ToAgent::Launch(message));
    }

    fn refuse_operation(
        &mut self,
        framework: &str,
        id: Option<muster_api::mesos::OperationId>,
        kind: operation::Type,
    ) {
        let message = format!("this version cannot do {}", kind.as_str_name());
        tracing::warn!(framework, message, "operation refused");
        if id.is_none() {
            return;
        }
        let mut status = OperationStatus {
            operation_id: id,
            message: Some(message),
            ..OperationStatus::default()
        };
        status.set_state(OperationState::OperationError);
        let mut event = Event {
            update_operation_status: Some(event::UpdateOperationStatus { status }),
            ..Event::default()
        };
        event.set_type(event::Type::UpdateOperationStatus);
        self.say_to_framework(framework, event);
    }
}

/// How long a refusal holds: 5 s unless told otherwise, or when told nonsense.
pub(super) fn refusal(filters: Option<&Filters>) -> Option<Duration> {
    let refuse = match filters.and_then(|filters| filters.refuse_seconds) {
        None => REFUSE,
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_or_else(
            |_| if seconds > 0.0 { MAX_REFUSE } else { REFUSE },
            |refuse| refuse.min(MAX_REFUSE),
        ),
    };
    (!refuse.is_zero()).then_some(refuse)
}

/// An offer as its framework is told of it.
pub(crate) fn message(id: &str, offer: &Offer, agent: &Agent) -> OfferMessage {
    let allocation = AllocationInfo { role: Some(offer.role.clone()) };
    let mut resources = offer.resources.to_proto();
    for resource in &mut resources {
        resource.allocation_info = Some(allocation.clone());
    }
    OfferMessage {
        id: id.into(),
        framework_id: offer.framework.as_str().into(),
        agent_id: offer.agent.as_str().into(),
        hostname: agent.info.hostname.clone(),
        url: Some(url(agent)),
        allocation_info: Some(allocation),
        resources,
        attributes: agent.info.attributes.clone(),
        domain: agent.info.domain.clone(),
        unavailability: agent.unavailability,
        ..OfferMessage::default()
    }
}

/// Where the agent's own interface is.
pub(super) fn url(agent: &Agent) -> muster_api::mesos::Url {
    muster_api::mesos::Url {
        scheme: "http".to_owned(),
        address: muster_api::mesos::Address {
            hostname: Some(agent.info.hostname.clone()),
            ip: Some(agent.address.to_string()),
            port: agent.info.port(),
        },
        path: Some("/slave(1)".to_owned()),
        ..muster_api::mesos::Url::default()
    }
}
