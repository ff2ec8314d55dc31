//! Tasks change their states; frameworks ask about them, acknowledge and kill.

use std::time::Duration;

use muster_api::TaskStateExt as _;
use muster_api::mesos::scheduler::{Event, call, event};
use muster_api::mesos::task_status::{Reason, Source};
use muster_api::mesos::{TaskInfo, TaskState, TaskStatus};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{Acknowledge, Kill, StatusUpdate};
use muster_resources::Resources;

use super::allocation::agree;
use super::{Completed, LinkId, Liveness, Master, Task, TaskKey};
use crate::claims;
use crate::registry::RegistryBatch as _;
use crate::view::Claimant;

impl Task {
    /// A task as an agent reports it, with what only the master knows of it.
    pub(super) fn from_report(
        info: TaskInfo,
        status: TaskStatus,
        known: Option<&Self>,
    ) -> Result<Self, muster_resources::Error> {
        let resources = Resources::from_proto(&info.resources)?.unallocated();
        let role = info.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
        Ok(Self {
            resources,
            role: role.unwrap_or_else(|| "*".to_owned()),
            kill: known.and_then(|known| known.kill),
            info,
            status,
        })
    }
}

impl Master {
    /// An agent's news of a task: noted, then passed on to the framework.
    pub(super) fn update(&mut self, link: LinkId, update: StatusUpdate) {
        let Some(agent) = self.links.get(&link).cloned() else { return };
        let (Some(framework), Some(mut status)) = (update.framework_id, update.status) else {
            tracing::warn!(agent, "status update without its content ignored");
            return;
        };
        self.counters.updates += 1;
        let key = (framework.value, status.task_id.value.clone());
        status.agent_id = Some(agent.as_str().into());
        self.note(&key, &status);
        let wanted = self.frameworks.get(&key.0).is_some_and(|framework| !framework.completed);
        if wanted {
            let state = status.state();
            status.set_state(self.frameworks.get(&key.0).map_or(state, |f| f.translate(state)));
            self.tell(&key.0, status);
        } else if let Some(uuid) = status.uuid {
            // Nobody else will ever acknowledge it.
            self.send_acknowledge(&agent, &key, uuid.clone());
            self.settle_end(&key, &uuid);
        }
    }

    /// Changes a task's status, and gives its resources back when that ends it.
    fn note(&mut self, key: &TaskKey, status: &TaskStatus) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        // An agent that has just told its latest status may still be repeating earlier
        // ones; they are passed on, but the task is not set back.
        if task.is_terminal()
            || status.timestamp() < task.status.timestamp()
            || task.status == *status
        {
            return;
        }
        let ends = status.state().is_terminal();
        task.status = status.clone();
        let row = task.row(&key.0);
        let held =
            ends.then(|| (task.role.clone(), task.agent().to_owned(), task.resources.clone()));
        self.step.batch.put_task(&row);
        self.restated.insert(key.clone());
        if let Some((role, agent, resources)) = held {
            self.give_back(&key.0, &role, &agent, &resources);
        }
    }

    /// Gives back what an ended task held, if its agent takes part.
    fn give_back(&mut self, framework: &str, role: &str, agent: &str, resources: &Resources) {
        if self.allocator.has_agent(agent) {
            agree(self.allocator.finish(framework, role, agent, resources));
        }
    }

    /// Ends a task that its agent cannot report on, and tells the framework.
    pub(super) fn lose_task(
        &mut self,
        now: Duration,
        key: &TaskKey,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        let Some(framework) = self.frameworks.get(&key.0) else { return };
        let mut status = TaskStatus {
            task_id: key.1.as_str().into(),
            message: Some(message.to_owned()),
            agent_id: self.tasks.get(key).map(|task| task.info.agent_id.clone()),
            timestamp: Some(now.as_secs_f64()),
            ..TaskStatus::default()
        };
        status.set_state(framework.translate(state));
        status.set_source(Source::Master);
        status.set_reason(reason);
        if state == TaskState::TaskUnreachable {
            status.unreachable_time = Some(muster_api::mesos::TimeInfo {
                nanoseconds: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
            });
        }
        if let Some(task) = self.tasks.get_mut(key) {
            let held = (task.role.clone(), task.agent().to_owned(), task.resources.clone());
            let ended = task.is_terminal();
            task.status = status.clone();
            if !ended {
                self.give_back(&key.0, &held.0, &held.1, &held.2);
            }
        }
        if state == TaskState::TaskUnreachable {
            self.view.strand(&name(key));
        }
        self.forget_task(key);
        self.tell(&key.0, status);
    }

    /// Passes a status on, if the framework is there to hear it. If not, an agent
    /// repeats its own, and the framework reconciles when it comes back.
    pub(super) fn tell(&mut self, framework: &str, status: TaskStatus) {
        let mut event = Event { update: Some(event::Update { status }), ..Event::default() };
        event.set_type(event::Type::Update);
        self.say_to_framework(framework, event);
    }

    /// A framework has dealt with a status.
    pub(super) fn acknowledge(&mut self, framework: &str, ack: call::Acknowledge) {
        let key = (framework.to_owned(), ack.task_id.value);
        // The agent repeats a status until it hears this, so it may be lost on the way.
        self.send_acknowledge(&ack.agent_id.value, &key, ack.uuid.clone());
        self.settle_end(&key, &ack.uuid);
    }

    /// Forgets a task whose end has been acknowledged.
    fn settle_end(&mut self, key: &TaskKey, uuid: &[u8]) {
        let ended = self
            .tasks
            .get(key)
            .is_some_and(|task| task.is_terminal() && task.status.uuid.as_deref() == Some(uuid));
        if ended {
            self.forget_task(key);
            self.retire(&key.0);
        }
    }

    /// Acknowledges the end of a task in the name of a framework that is no more. Earlier
    /// statuses of it follow one by one as the agent repeats them.
    pub(super) fn acknowledge_end(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.get(key).filter(|task| task.is_terminal()) else { return };
        let (agent, uuid) = (task.agent().to_owned(), task.status.uuid.clone());
        if let Some(uuid) = uuid {
            self.send_acknowledge(&agent, key, uuid);
        }
        self.forget_task(key);
    }

    fn send_acknowledge(&mut self, agent: &str, key: &TaskKey, uuid: Vec<u8>) {
        let message = Acknowledge {
            framework_id: Some(key.0.as_str().into()),
            task_id: Some(key.1.as_str().into()),
            uuid,
        };
        self.say_to_agent(agent, ToAgent::Acknowledge(message));
    }

    /// A framework wants a task gone.
    pub(super) fn kill(&mut self, framework: &str, kill: call::Kill) {
        let key = (framework.to_owned(), kill.task_id.value.clone());
        let Some(task) = self.tasks.get_mut(&key) else {
            // It may run on where nobody can end it, but not for this framework.
            self.view.release(|task, _| task == name(&key));
            // As in Mesos: who kills a task that is not there is told its state.
            let task = call::reconcile::Task { task_id: kill.task_id, agent_id: kill.agent_id };
            return self.reconcile(framework, &call::Reconcile { tasks: vec![task] });
        };
        if kill.agent_id.is_some_and(|agent| agent != task.info.agent_id) {
            tracing::warn!(
                framework,
                task = key.1,
                "kill names another agent than the task's: ignored"
            );
            return;
        }
        task.kill = Some(kill.kill_policy.unwrap_or_default());
        // From now on its VIPs choose others.
        self.restated.insert(key.clone());
        let agent = task.agent().to_owned();
        let message = Kill {
            framework_id: Some(framework.into()),
            task_id: Some(key.1.as_str().into()),
            kill_policy: kill.kill_policy,
        };
        // An agent that is away is told when it is back.
        self.say_to_agent(&agent, ToAgent::Kill(message));
    }

    /// A framework asks for the states of some tasks, or of all its tasks.
    pub(super) fn reconcile(&mut self, framework: &str, reconcile: &call::Reconcile) {
        if reconcile.tasks.is_empty() {
            for key in self.tasks_of_framework(framework) {
                self.restate_to_framework(&key);
            }
            return;
        }
        for task in &reconcile.tasks {
            let key = (framework.to_owned(), task.task_id.value.clone());
            if self.tasks.contains_key(&key) {
                self.restate_to_framework(&key);
                continue;
            }
            let agent = task.agent_id.as_ref().map(|id| self.agents.get(&id.value));
            let recovering =
                |agent: &super::Agent| matches!(agent.liveness, Liveness::Recovered { .. });
            let (state, message) = match agent {
                // It may turn up with an agent that is still on its way back.
                Some(Some(agent)) if recovering(agent) => continue,
                None if self.agents.values().any(recovering) => continue,
                Some(Some(agent)) if matches!(agent.liveness, Liveness::Unreachable { .. }) => {
                    (TaskState::TaskUnreachable, "Reconciliation: the agent is unreachable")
                }
                Some(Some(_)) => {
                    (TaskState::TaskGone, "Reconciliation: the agent does not know the task")
                }
                Some(None) | None => {
                    (TaskState::TaskUnknown, "Reconciliation: the task is unknown")
                }
            };
            let Some(state) = self.frameworks.get(framework).map(|f| f.translate(state)) else {
                return;
            };
            let mut status = TaskStatus {
                task_id: task.task_id.clone(),
                agent_id: task.agent_id.clone(),
                message: Some(message.to_owned()),
                ..TaskStatus::default()
            };
            status.set_state(state);
            status.set_source(Source::Master);
            status.set_reason(Reason::Reconciliation);
            self.tell(framework, status);
        }
    }

    fn restate_to_framework(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.get(key) else { return };
        let status = restatement(&task.status, Reason::Reconciliation);
        self.tell(&key.0, status);
    }

    pub(super) fn insert_task(&mut self, key: TaskKey, task: Task) {
        self.tasks_by_agent.entry(task.agent().to_owned()).or_default().insert(key.clone());
        self.restated.insert(key.clone());
        self.tasks.insert(key, task);
    }

    /// A task is over and everyone concerned knows.
    pub(super) fn forget_task(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.remove(key) else { return };
        if let Some(tasks) = self.tasks_by_agent.get_mut(task.agent()) {
            tasks.remove(key);
            if tasks.is_empty() {
                self.tasks_by_agent.remove(task.agent());
            }
        }
        self.step.batch.delete_task(&key.0, &key.1);
        self.restated.insert(key.clone());
        if let Some(framework) = self.frameworks.get_mut(&key.0) {
            framework.complete(Completed { info: task.info, status: task.status });
        }
    }

    pub(super) fn tasks_of(&self, agent: &str) -> Vec<TaskKey> {
        self.tasks_by_agent.get(agent).into_iter().flatten().cloned().collect()
    }

    /// Brings a task's place in the cluster view up to date.
    pub(super) fn restate(&mut self, key: &TaskKey) {
        let (name, claimant) = (name(key), self.claimant(key));
        if claimant.is_some() || !self.view.is_stranded(&name) {
            self.view.set_task(&name, claimant);
        }
    }

    fn claimant(&mut self, key: &TaskKey) -> Option<Claimant> {
        let task = self.tasks.get(key)?;
        let takes = claims::takes(&task.info, &task.status)? && task.kill.is_none();
        let agent = self.agents.get(task.agent())?;
        let framework = self.frameworks.get(&key.0)?;
        let batch = &mut self.step.batch;
        let claims = claims::claims(
            &task.info,
            &task.status,
            &framework.info.name,
            agent.address,
            &mut self.pool,
            |service, address| batch.put_vip(service, address),
        );
        Some(Claimant { claims, agent: task.agent().to_owned(), takes })
    }
}

/// A task's name in the cluster view.
fn name(key: &TaskKey) -> String {
    format!("{}/{}", key.0, key.1)
}

/// A status told again: not to be acknowledged, and without what only the executor's
/// own update carries.
pub(super) fn restatement(status: &TaskStatus, reason: Reason) -> TaskStatus {
    let mut again = TaskStatus { uuid: None, data: None, labels: None, ..status.clone() };
    again.message = Some(match reason {
        Reason::Reconciliation => "Reconciliation: Latest task state".to_owned(),
        _ => "the agent is back".to_owned(),
    });
    again.set_source(Source::Master);
    again.set_reason(reason);
    again
}
