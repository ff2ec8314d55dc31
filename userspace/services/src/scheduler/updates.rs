//! What the master and the agents say about tasks.

use std::fmt::Write as _;

use muster_api::mesos::scheduler::{Call, call};
use muster_api::mesos::{AgentId, TaskId, TaskState, TaskStatus, task_status};

use super::{Scheduler, Timer};
use crate::app::AppId;
use crate::instance::{Condition, Goal, Instance, InstanceId, StopReason};
use crate::records::{Changes as _, Failure};
use crate::timestamp::Timestamp;

impl Scheduler {
    /// Takes in a status update. It may be late, repeated or out of order, and about
    /// something unknown. It is acknowledged once what follows from it is on record.
    pub(super) fn updated(&mut self, status: &TaskStatus) {
        let id = InstanceId::from_task_id(&status.task_id.value).ok();
        let known = id.filter(|id| self.fleet.get(id).is_some());
        let agent = status.agent_id.clone().or_else(|| {
            let instance = self.fleet.get(known.as_ref()?)?;
            Some(instance.agent.id.as_str().into())
        });
        match known {
            Some(id) => self.update_instance(&id, status),
            None => self.update_stranger(status),
        }
        if let (Some(uuid), Some(agent_id)) = (uuid_of(status), agent) {
            self.acknowledge(agent_id, status.task_id.clone(), uuid.to_vec());
        }
    }

    fn acknowledge(&mut self, agent_id: AgentId, task_id: TaskId, uuid: Vec<u8>) {
        let acknowledge = Some(call::Acknowledge { agent_id, task_id, uuid });
        self.say(Call { acknowledge, ..self.new_call(call::Type::Acknowledge) });
    }

    /// A task that is not on record: it was given up, and something else may run in its
    /// place. If it runs, it must not.
    fn update_stranger(&mut self, status: &TaskStatus) {
        if condition_of(status.state()).is_some_and(|condition| condition != Condition::Unreachable)
        {
            let kill = Some(call::Kill {
                task_id: status.task_id.clone(),
                agent_id: status.agent_id.clone(),
                kill_policy: None,
            });
            self.say(Call { kill, ..self.new_call(call::Type::Kill) });
        }
    }

    fn update_instance(&mut self, id: &InstanceId, status: &TaskStatus) {
        let Some(instance) = self.fleet.get_mut(id) else { return };
        instance.confirmed = true;
        match condition_of(status.state()) {
            None => self.ended(id, status),
            Some(Condition::Unreachable) => self.lost_sight_of(id, status),
            Some(condition) => self.alive(id, condition, status),
        }
    }

    fn alive(&mut self, id: &InstanceId, condition: Condition, status: &TaskStatus) {
        let now = self.now;
        let Some(instance) = self.fleet.get_mut(id) else { return };
        let before = instance.clone();
        let uuid = uuid_of(status).map(hexadecimal);
        // An answer to a reconciliation may be older than what is known: it only takes a
        // task forward, or says that an agent which was out of reach is there again.
        let is_news = uuid.as_ref().is_some_and(|uuid| *uuid != instance.last_update);
        let is_forward = condition > instance.condition;
        if is_news || is_forward || instance.condition == Condition::Unreachable {
            instance.condition = condition;
        }
        instance.unreachable_since = None;
        if condition == Condition::Running {
            instance.started_at.get_or_insert(now);
        }
        if let Some(healthy) = status.healthy {
            // An update for another reason repeats what is known.
            let told = !status.reason.is_some_and(|reason| {
                reason != i32::from(task_status::Reason::TaskHealthCheckStatusUpdated)
            });
            let repeated = !is_news || !told;
            instance.health.observe(healthy, repeated, status.message.as_deref(), now);
        }
        instance.last_update = uuid.unwrap_or_else(|| std::mem::take(&mut instance.last_update));
        if let Some(container) = &status.container_status {
            let networks = container.network_infos.iter().flat_map(|n| &n.ip_addresses);
            let addresses: Vec<_> = networks.filter_map(|a| a.ip_address.clone()).collect();
            if !addresses.is_empty() {
                instance.ip_addresses = addresses;
            }
        }
        // The executor kills a task whose check fails too often; whoever runs it might not.
        let is_sick = instance.is_wanted()
            && instance.health.healthy == Some(false)
            && instance
                .max_failures
                .is_some_and(|most| instance.health.consecutive_failures >= most);
        let has_started = before.started_at.is_none() && instance.started_at.is_some();
        if *instance != before {
            let instance = instance.clone();
            self.changes().put_instance(&instance);
            self.dirty.insert(id.app().clone());
        }
        if has_started {
            self.timers.set(now, Timer::Readiness(id.clone()));
            self.note_start(id.app());
        }
        if is_sick {
            self.stop(id, StopReason::Unhealthy);
        }
    }

    fn lost_sight_of(&mut self, id: &InstanceId, status: &TaskStatus) {
        let now = self.now;
        let Some(instance) = self.fleet.get_mut(id) else { return };
        if instance.condition != Condition::Unreachable {
            instance.condition = Condition::Unreachable;
            let told = status.unreachable_time.as_ref();
            let told = told.map(|t| Timestamp::from_millis(t.nanoseconds / 1_000_000));
            instance.unreachable_since = Some(told.unwrap_or(now).min(now));
            let instance = instance.clone();
            self.changes().put_instance(&instance);
        }
        if !self.fleet.get(id).is_some_and(Instance::is_wanted) {
            // It was to end anyway; should it come back, it is killed as a stranger.
            self.forget(id);
        }
        self.dirty.insert(id.app().clone());
    }

    /// The end of a task.
    fn ended(&mut self, id: &InstanceId, status: &TaskStatus) {
        let Some(instance) = self.fleet.get(id) else { return };
        let state = status.state();
        let is_sick = instance.goal == Goal::Stopped(StopReason::Unhealthy)
            || (instance.is_wanted()
                && state == TaskState::TaskKilled
                && status.healthy == Some(false));
        let has_failed = is_sick
            || (instance.is_wanted()
                && !matches!(state, TaskState::TaskKilled | TaskState::TaskFinished));
        let epoch = instance.epoch;
        tracing::info!(
            instance = %id,
            state = state.as_str_name(),
            message = status.message,
            wanted = instance.is_wanted(),
            "instance ended"
        );
        if has_failed {
            let message = status.message.clone().unwrap_or_default();
            self.note_failure(id, state, message);
        }
        // A service that ends without being told to is not doing its job either.
        let is_its_own_fault = is_sick
            || (has_failed && !is_circumstance(status))
            || (instance_is_wanted(self, id) && state == TaskState::TaskFinished);
        if is_its_own_fault {
            self.delay_launches(id.app(), epoch);
        }
        self.forget(id);
    }

    /// Gives up an instance that has been unreachable for too long.
    pub(super) fn expunge(&mut self, id: &InstanceId) {
        self.note_failure(id, TaskState::TaskUnreachable, "its agent cannot be reached".into());
        self.forget(id);
    }

    /// Takes an instance off the record.
    pub(super) fn forget(&mut self, id: &InstanceId) {
        self.readiness.remove(id);
        if let Some(instance) = self.fleet.remove(id) {
            self.changes().delete_instance(&instance);
            self.dirty.insert(id.app().clone());
        }
    }

    fn note_failure(&mut self, id: &InstanceId, state: TaskState, message: String) {
        let Some(instance) = self.fleet.get(id) else { return };
        let app_id: AppId = id.app().clone();
        if !self.apps.contains_key(&app_id) {
            return;
        }
        let failure = Failure {
            app_id: app_id.clone(),
            host: instance.agent.host.clone(),
            message,
            state: state.as_str_name().into(),
            task_id: id.task_id(),
            timestamp: self.now,
            version: instance.version,
            slave_id: instance.agent.id.clone(),
        };
        self.changes().put_failure(&failure);
        self.failures.insert(app_id, failure);
    }

    /// Ends an instance: it is killed until it is seen to have ended.
    pub(crate) fn stop(&mut self, id: &InstanceId, reason: StopReason) {
        let Some(instance) = self.fleet.get_mut(id) else { return };
        if instance.condition == Condition::Unreachable {
            self.forget(id);
            return;
        }
        if instance.is_wanted() {
            instance.goal = Goal::Stopped(reason);
            let instance = instance.clone();
            self.changes().put_instance(&instance);
            self.dirty.insert(id.app().clone());
        }
        self.kill(id);
    }
}

fn instance_is_wanted(scheduler: &Scheduler, id: &InstanceId) -> bool {
    scheduler.fleet.get(id).is_some_and(Instance::is_wanted)
}

/// The condition that a state stands for; `None` when it is the end, as also a task that
/// the master does not know is.
fn condition_of(state: TaskState) -> Option<Condition> {
    match state {
        TaskState::TaskStaging => Some(Condition::Staging),
        TaskState::TaskStarting => Some(Condition::Starting),
        TaskState::TaskRunning => Some(Condition::Running),
        TaskState::TaskKilling => Some(Condition::Killing),
        TaskState::TaskUnreachable => Some(Condition::Unreachable),
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator
        | TaskState::TaskUnknown => None,
    }
}

/// Whether a task ended for reasons that lie outside of it, so that there is no point in
/// waiting before the next.
fn is_circumstance(status: &TaskStatus) -> bool {
    use task_status::Reason;
    status.state() == TaskState::TaskGoneByOperator
        || status.reason.is_some()
            && matches!(
                status.reason(),
                Reason::InvalidOffers
                    | Reason::Reconciliation
                    | Reason::AgentDisconnected
                    | Reason::AgentDraining
                    | Reason::AgentRemoved
                    | Reason::AgentRemovedByOperator
                    | Reason::AgentRestarted
                    | Reason::AgentUnknown
                    | Reason::MasterDisconnected
            )
}

/// The uuid of an update that wants to be acknowledged.
fn uuid_of(status: &TaskStatus) -> Option<&[u8]> {
    status.uuid.as_deref().filter(|uuid| !uuid.is_empty())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
