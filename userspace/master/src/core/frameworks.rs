//! Frameworks subscribe, fail over and go; what they say is sorted here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use muster_allocator::OfferConstraints;
use muster_api::mesos::scheduler::call::Type;
use muster_api::mesos::scheduler::{Call, Event, call, event};
use muster_api::mesos::{FrameworkId, FrameworkInfo};
use muster_api::muster::Kill;
use muster_api::muster::master_message::Message as ToAgent;
use muster_resources::role;

use super::allocation::{agree, constraints, framework_options};
use super::{ConnectionId, Framework, Master, Output, Task, TaskKey, model, ticks};
use crate::registry::RegistryBatch as _;

impl Master {
    /// Does what a framework says.
    pub(super) fn call(&mut self, now: Duration, connection: ConnectionId, call: Call) {
        if let (Type::Subscribe, Some(subscribe)) = (call.r#type(), &call.subscribe) {
            let id = call.framework_id.clone().map(|id| id.value);
            return self.subscribe(now, connection, id, subscribe.clone());
        }
        let Some(id) = self.connections.get(&connection).cloned() else {
            return self.reject(connection, "the first call must be SUBSCRIBE");
        };
        let kind = call.r#type();
        match kind {
            Type::Accept => call.accept.map(|accept| self.accept(now, &id, accept)),
            Type::Decline => call.decline.map(|decline| self.decline(now, &id, decline)),
            Type::Acknowledge => call.acknowledge.map(|ack| self.acknowledge(&id, ack)),
            Type::Kill => call.kill.map(|kill| self.kill(&id, kill)),
            Type::Reconcile => call.reconcile.map(|reconcile| self.reconcile(&id, &reconcile)),
            Type::Revive => {
                self.revive(&id, &call.revive.map(|revive| revive.roles).unwrap_or_default());
                Some(())
            }
            Type::Suppress => {
                self.suppress(
                    &id,
                    &call.suppress.map(|suppress| suppress.roles).unwrap_or_default(),
                );
                Some(())
            }
            Type::UpdateFramework => {
                call.update_framework.map(|update| self.update_framework(&id, update))
            }
            Type::Teardown => {
                self.teardown(now, &id);
                Some(())
            }
            // Nothing is asked of the allocator: offers come by fair share alone.
            Type::Request => Some(()),
            Type::AcceptInverseOffers => call.accept_inverse_offers.map(|accept| {
                let ids = &accept.inverse_offer_ids;
                self.answer_inversely(now, &id, ids, true, accept.filters.as_ref());
            }),
            Type::DeclineInverseOffers => call.decline_inverse_offers.map(|decline| {
                let ids = &decline.inverse_offer_ids;
                self.answer_inversely(now, &id, ids, false, decline.filters.as_ref());
            }),
            Type::Shutdown => call.shutdown.map(|shutdown| self.shutdown(&id, shutdown)),
            Type::Message => call.message.map(|message| self.message(&id, message)),
            // There are no operations to speak of yet.
            Type::AcknowledgeOperationStatus | Type::ReconcileOperations => {
                tracing::warn!(
                    framework = id,
                    call = kind.as_str_name(),
                    "call concerns nothing that exists"
                );
                Some(())
            }
            Type::Unknown | Type::Subscribe => None,
        }
        .unwrap_or_else(|| {
            tracing::warn!(
                framework = id,
                call = kind.as_str_name(),
                "call without its content ignored"
            );
        });
    }

    fn subscribe(
        &mut self,
        now: Duration,
        connection: ConnectionId,
        id: Option<String>,
        subscribe: call::Subscribe,
    ) {
        let call::Subscribe {
            framework_info: mut info, suppressed_roles, offer_constraints, ..
        } = subscribe;
        if let Err(reason) = self.check(&info) {
            return self.reject(connection, &reason);
        }
        let limits = self.options.constraint_limits;
        let constraints = match constraints(offer_constraints.as_ref(), limits) {
            Ok(constraints) => constraints,
            Err(error) => return self.reject(connection, &error.to_string()),
        };
        let id = id.or_else(|| info.id.take().map(|id| id.value)).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| {
            let id = format!("{}-{:04}", self.options.master_id, self.next_id.framework);
            self.next_id.framework += 1;
            id
        });
        info.id = Some(FrameworkId::from(id.as_str()));
        let old = self.frameworks.get(&id);
        if old.is_some_and(|old| old.completed) {
            return self.reject(connection, "Framework has been removed");
        }
        if old
            .is_some_and(|old| old.info.principal.is_some() && old.info.principal != info.principal)
        {
            return self.reject(connection, "framework_info.principal cannot change");
        }
        if let Some(old) = old.and_then(|old| old.connection) {
            self.reject(old, "Framework failed over");
            self.withdraw_framework(now, &id);
        }
        let suppressed: BTreeSet<String> = suppressed_roles.into_iter().collect();
        let new = !self.frameworks.contains_key(&id);
        let framework = self
            .frameworks
            .entry(id.clone())
            .or_insert_with(|| Framework::away(info.clone(), now, now, false));
        if !new {
            framework.reregistered = Some(now);
        }
        framework.info = info;
        framework.suppressed = suppressed;
        framework.constraints = constraints;
        framework.offer_constraints = offer_constraints;
        framework.connection = Some(connection);
        framework.disconnected = None;
        framework.heartbeat = now;
        tracing::info!(
            framework = id,
            name = framework.info.name,
            again = !new,
            "framework subscribed"
        );
        let registered = framework.registered.as_secs_f64();
        self.step.batch.put_framework(&id, &framework.info, registered, false);
        self.connections.insert(connection, id.clone());
        self.offer_to(&id);

        let mut subscribed = Event {
            subscribed: Some(event::Subscribed {
                framework_id: id.as_str().into(),
                heartbeat_interval_seconds: Some(ticks::HEARTBEAT.as_secs_f64()),
                master_info: Some(self.info.clone()),
            }),
            ..Event::default()
        };
        subscribed.set_type(event::Type::Subscribed);
        self.say_to_framework(&id, subscribed);
        let mut heartbeat = Event::default();
        heartbeat.set_type(event::Type::Heartbeat);
        self.say_to_framework(&id, heartbeat);
    }

    /// Makes the allocator offer to the framework as it is now.
    fn offer_to(&mut self, id: &str) {
        self.track(id);
        let Some(framework) = self.frameworks.get(id) else { return };
        let options = framework_options(framework);
        agree(self.allocator.update_framework(id, options));
        agree(self.allocator.activate_framework(id));
    }

    /// Makes the allocator know the framework, if only for what its tasks hold.
    pub(super) fn track(&mut self, id: &str) {
        let Some(framework) = self.frameworks.get(id) else { return };
        if !self.allocator.has_framework(id) {
            let options = framework_options(framework);
            agree(self.allocator.add_framework(id, options, BTreeMap::new()));
        }
    }

    fn update_framework(&mut self, id: &str, update: call::UpdateFramework) {
        let mut info = update.framework_info;
        if let Err(reason) = self.check(&info) {
            tracing::warn!(framework = id, reason, "update of the framework refused");
            return;
        }
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let limits = self.options.constraint_limits;
        let constraints = match constraints(update.offer_constraints.as_ref(), limits) {
            Ok(constraints) => constraints,
            Err(error) => {
                tracing::warn!(framework = id, %error, "update of the framework refused");
                return;
            }
        };
        info.id = Some(id.into());
        // These stay as they were first given.
        info.principal.clone_from(&framework.info.principal);
        info.user.clone_from(&framework.info.user);
        info.checkpoint = framework.info.checkpoint;
        framework.info = info;
        framework.suppressed = update.suppressed_roles.into_iter().collect();
        framework.constraints = constraints;
        framework.offer_constraints = update.offer_constraints;
        let registered = framework.registered.as_secs_f64();
        self.step.batch.put_framework(id, &framework.info, registered, false);
        // What follows for its offers is seen when they are next made.
        agree(self.allocator.update_framework(id, framework_options(framework)));
    }

    /// Ends a subscription with the reason as its last event.
    fn reject(&mut self, connection: ConnectionId, reason: &str) {
        let mut error =
            Event { error: Some(event::Error { message: reason.to_owned() }), ..Event::default() };
        error.set_type(event::Type::Error);
        self.connections.remove(&connection);
        self.step.outputs.push(Output::ToScheduler(connection, Box::new(error)));
        self.step.outputs.push(Output::CloseConnection(connection));
    }

    pub(super) fn connection_closed(&mut self, now: Duration, connection: ConnectionId) {
        let Some(id) = self.connections.remove(&connection) else { return };
        tracing::info!(framework = id, "framework disconnected");
        if let Some(framework) = self.frameworks.get_mut(&id) {
            framework.connection = None;
            framework.disconnected = Some(now);
        }
        self.withdraw_framework(now, &id);
        agree(self.allocator.deactivate_framework(&id));
    }

    /// Ends a framework and its tasks; its id is never accepted again.
    pub(super) fn teardown(&mut self, now: Duration, id: &str) {
        self.withdraw_framework(now, id);
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        framework.completed = true;
        framework.disconnected = Some(now);
        let connection = framework.connection.take();
        let registered = framework.registered.as_secs_f64();
        self.step.batch.put_framework(id, &framework.info, registered, true);
        if let Some(connection) = connection {
            self.connections.remove(&connection);
            self.step.outputs.push(Output::CloseConnection(connection));
        }
        self.track(id);
        agree(self.allocator.deactivate_framework(id));
        self.view.release(|task, _| task.split_once('/').is_some_and(|(owner, _)| owner == id));
        self.shut_down_executors(id);
        let tasks: Vec<TaskKey> = self.tasks_of_framework(id);
        for key in tasks {
            let Some(agent) = self.tasks.get(&key).map(|task| task.agent().to_owned()) else {
                continue;
            };
            if self.tasks.get(&key).is_some_and(Task::is_terminal) {
                // Nobody is left to acknowledge it.
                self.acknowledge_end(&key);
                continue;
            }
            if self.tasks.get(&key).is_some_and(|task| task.info.executor.is_some()) {
                // Its executor ends it when it ends itself.
                continue;
            }
            let kill = Kill {
                framework_id: Some(id.into()),
                task_id: Some(key.1.as_str().into()),
                kill_policy: None,
            };
            self.say_to_agent(&agent, ToAgent::Kill(kill));
        }
        self.retire(id);
    }

    /// Takes a completed framework from the allocator once nothing of it is left.
    pub(super) fn retire(&mut self, id: &str) {
        let done = self.frameworks.get(id).is_some_and(|framework| framework.completed);
        let empty =
            self.tasks_of_framework(id).is_empty() && self.executors_of(id).next().is_none();
        if done && empty && self.allocator.has_framework(id) {
            agree(self.allocator.remove_framework(id));
            self.maintenance.answers.retain(|(_, framework), _| framework != id);
        }
    }
}

impl Framework {
    /// A framework without a subscription.
    pub(super) fn away(
        info: FrameworkInfo,
        registered: Duration,
        now: Duration,
        completed: bool,
    ) -> Self {
        Self {
            info,
            connection: None,
            suppressed: BTreeSet::new(),
            constraints: OfferConstraints::default(),
            offer_constraints: None,
            registered,
            reregistered: None,
            disconnected: Some(now),
            heartbeat: now,
            completed,
            completed_tasks: VecDeque::new(),
        }
    }
}

impl Master {
    /// Whether a framework may be described so.
    fn check(&self, info: &FrameworkInfo) -> Result<(), String> {
        if info.name.is_empty() {
            return Err("framework_info.name is empty".to_owned());
        }
        let timeout = info.failover_timeout();
        if !timeout.is_finite() || timeout < 0.0 {
            return Err(format!(
                "framework_info.failover_timeout {timeout} is no number of seconds"
            ));
        }
        let roles = model::roles(info);
        for role in &roles {
            let wrong = |problem: String| format!("framework_info.roles: {problem}");
            role::validate(role).map_err(|problem| wrong(problem.to_string()))?;
            self.check_allowed(role).map_err(wrong)?;
        }
        let distinct: BTreeSet<&String> = roles.iter().collect();
        if distinct.len() != roles.len() {
            return Err("framework_info.roles names a role twice".to_owned());
        }
        Ok(())
    }

    /// The keys of one framework's tasks.
    pub(crate) fn tasks_of_framework(&self, id: &str) -> Vec<TaskKey> {
        let from = (id.to_owned(), String::new());
        self.tasks
            .range(from..)
            .map(|(key, _)| key)
            .take_while(|key| key.0 == id)
            .cloned()
            .collect()
    }
}
