//! The connection to the master: subscribing, reconciling, wanting offers or not.

use std::time::Duration;

use muster_api::mesos::FrameworkInfo;
use muster_api::mesos::framework_info::{Capability, capability};
use muster_api::mesos::scheduler::{Call, call, event};

use super::{Scheduler, Timer};
use crate::instance::{Goal, InstanceId};
use crate::records::Changes as _;
use crate::timestamp::Timestamp;

/// How soon to try again after the master refused a subscription.
const RESUBSCRIBE: Duration = Duration::from_secs(5);
/// The longest pause between two questions about instances of unknown fate.
const MAX_RETRY: Duration = Duration::from_mins(1);

/// How things stand with the master.
#[derive(Debug, Default)]
pub(super) struct Link {
    subscribed: bool,
    /// Whether the master sends offers.
    offers_wanted: bool,
    last_revive: Option<Timestamp>,
    /// The pause before the next question about instances of unknown fate.
    retry: Duration,
}

impl Scheduler {
    /// Says SUBSCRIBE, under the id of before if there was one.
    pub(super) fn subscribe(&mut self) {
        let capability = |kind: capability::Type| Capability { r#type: Some(kind.into()) };
        let framework_info = FrameworkInfo {
            user: self.config.user.clone(),
            name: self.config.framework_name.clone(),
            id: self.framework_id.clone().map(Into::into),
            failover_timeout: Some(self.config.failover_timeout.as_secs_f64()),
            checkpoint: Some(true),
            hostname: Some(self.config.hostname.clone()),
            webui_url: Some(format!("http://{}", self.config.leader())),
            roles: vec![self.config.role.clone()],
            capabilities: vec![
                capability(capability::Type::MultiRole),
                capability(capability::Type::PartitionAware),
                capability(capability::Type::TaskKillingState),
            ],
            ..Default::default()
        };
        // Offers are asked for by REVIVE as soon as the subscription stands.
        let suppressed_roles = vec![self.config.role.clone()];
        self.link = Link::default();
        let subscribe =
            call::Subscribe { framework_info, suppressed_roles, offer_constraints: None };
        let call = Call { subscribe: Some(subscribe), ..self.new_call(call::Type::Subscribe) };
        self.effects.call(call);
    }

    pub(super) fn disconnected(&mut self) {
        self.link = Link::default();
    }

    pub(super) fn subscribed(&mut self, event: &event::Subscribed) {
        let id = &event.framework_id.value;
        if self.framework_id.as_ref() != Some(id) {
            self.framework_id = Some(id.clone());
            self.changes().put_framework(id);
        }
        let retry = self.config.reconciliation_retry;
        self.link = Link { subscribed: true, retry, ..Link::default() };
        for instance in self.fleet.iter_mut() {
            instance.confirmed = false;
        }
        self.reconcile();
        self.timers.set(self.now.plus(retry), Timer::Confirm);
        let unwanted: Vec<InstanceId> =
            self.fleet.iter().filter(|i| !i.is_wanted()).map(|i| i.id.clone()).collect();
        for id in &unwanted {
            self.kill(id);
        }
        for launch in self.queue.values_mut() {
            launch.is_new = true;
        }
    }

    /// The master ended the subscription, or did not take it.
    pub(super) fn refused(&mut self, error: &event::Error) {
        tracing::error!(message = error.message, "the master refused the subscription");
        self.link = Link::default();
        if error.message.contains("has been removed") || error.message.contains("completed") {
            // The master has torn this framework down and killed its tasks; only as
            // another framework can things go on. Reconciling finds out about the tasks.
            self.framework_id = None;
        }
        self.timers.set(self.now.plus(RESUBSCRIBE), Timer::Subscribe);
    }

    /// Asks about every instance on record, and about all tasks that the master knows,
    /// which brings to light those that are not on record.
    pub(super) fn reconcile(&mut self) {
        let tasks: Vec<_> = self.fleet.iter().map(question).collect();
        if !tasks.is_empty() {
            self.say_reconcile(tasks);
        }
        self.say_reconcile(Vec::new());
        self.timers.set(self.now.plus(self.config.reconciliation_interval), Timer::Reconcile);
    }

    /// Asks again about instances that the master has said nothing of: it does not answer
    /// while their agent has yet to come back to it.
    pub(super) fn reconcile_unconfirmed(&mut self) {
        let unconfirmed = self.fleet.iter().filter(|i| !i.confirmed);
        let tasks: Vec<_> = unconfirmed.map(question).collect();
        if tasks.is_empty() || !self.link.subscribed {
            return;
        }
        self.say_reconcile(tasks);
        self.link.retry = self.link.retry.saturating_mul(2).min(MAX_RETRY);
        self.timers.set(self.now.plus(self.link.retry), Timer::Confirm);
    }

    fn say_reconcile(&mut self, tasks: Vec<call::reconcile::Task>) {
        let reconcile = Some(call::Reconcile { tasks });
        self.say(Call { reconcile, ..self.new_call(call::Type::Reconcile) });
    }

    /// Says KILL, and will again until the instance has ended.
    pub(super) fn kill(&mut self, id: &InstanceId) {
        let Some(instance) = self.fleet.get(id) else { return };
        let kill = Some(call::Kill {
            task_id: id.task_id().into(),
            agent_id: Some(instance.agent.id.as_str().into()),
            kill_policy: None,
        });
        self.say(Call { kill, ..self.new_call(call::Type::Kill) });
        self.timers.set(self.now.plus(self.config.kill_retry_timeout), Timer::Kill(id.clone()));
    }

    /// The time for another kill has come, if there is still someone to kill.
    pub(super) fn kill_again(&mut self, id: &InstanceId) {
        if self.fleet.get(id).is_some_and(|i| matches!(i.goal, Goal::Stopped(_))) {
            self.kill(id);
        }
    }

    /// Tells the master when offers are wanted and when not. Something new to launch is
    /// worth a REVIVE even when offers are wanted already: it clears the filters that
    /// went with what was declined before.
    pub(super) fn signal_demand(&mut self) {
        if !self.link.subscribed {
            return;
        }
        let ready = |s: &Self| -> Vec<_> {
            s.queue.iter().filter(|(id, _)| s.is_launchable(id)).map(|(id, _)| id.clone()).collect()
        };
        let wanted = ready(self);
        if wanted.is_empty() {
            if self.link.offers_wanted {
                self.link.offers_wanted = false;
                let suppress = Some(call::Suppress { roles: vec![self.config.role.clone()] });
                self.say(Call { suppress, ..self.new_call(call::Type::Suppress) });
            }
            return;
        }
        let is_new = |s: &Self| wanted.iter().any(|id| s.queue.get(id).is_some_and(|l| l.is_new));
        if self.link.offers_wanted && !is_new(self) {
            return;
        }
        let interval = self.config.min_revive_offers_interval;
        if let Some(at) = self.link.last_revive.map(|last| last.plus(interval))
            && at > self.now
        {
            self.timers.set(at, Timer::Signal);
            return;
        }
        self.link.offers_wanted = true;
        self.link.last_revive = Some(self.now);
        for id in &wanted {
            if let Some(launch) = self.queue.get_mut(id) {
                launch.is_new = false;
            }
        }
        let revive = Some(call::Revive { roles: vec![self.config.role.clone()] });
        self.say(Call { revive, ..self.new_call(call::Type::Revive) });
    }

    /// Says something that only a subscribed framework may say. What is lost when there
    /// is no subscription is made up for by the next.
    pub(super) fn say(&mut self, call: Call) {
        if self.link.subscribed {
            self.effects.call(call);
        }
    }

    pub(super) fn new_call(&self, kind: call::Type) -> Call {
        Call {
            framework_id: self.framework_id.clone().map(Into::into),
            r#type: Some(kind.into()),
            ..Default::default()
        }
    }
}

fn question(instance: &crate::instance::Instance) -> call::reconcile::Task {
    call::reconcile::Task {
        task_id: instance.id.task_id().into(),
        agent_id: Some(instance.agent.id.as_str().into()),
    }
}
