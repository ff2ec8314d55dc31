//! Agents come, go and come back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use muster_api::TaskStateExt as _;
use muster_api::mesos::scheduler::{Event, event};
use muster_api::mesos::{AgentId, AgentInfo, TaskState, task_status::Reason};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{AgentEntry, AgentTask, Kill, Refused, Register, Registered};
use muster_resources::Resources;

use super::allocation::{agent_options, agree};
use super::{Agent, Framework, LinkId, Liveness, Master, Output, Task, TaskKey};
use crate::registry::RegistryBatch as _;

/// What a registration says, checked.
struct Claim {
    info: AgentInfo,
    address: IpAddr,
    total: Resources,
}

impl Master {
    /// Admits an agent, new or known, and reconciles its tasks with the registry's.
    pub(super) fn register(&mut self, now: Duration, link: LinkId, register: Register) {
        let mut claim = match check(&register) {
            Ok(claim) if claim.info.domain.is_some() && self.options.domain.is_none() => {
                let reason = "the registration's info.domain is set, and the master has none; \
                              start the master with --domain, or the agent without";
                return self.refuse(link, reason.to_owned());
            }
            Ok(claim) if self.maintenance.is_down(&claim.info.hostname, claim.address) => {
                let reason = "the machine is down for maintenance; POST it to /machine/up first";
                return self.refuse(link, reason.to_owned());
            }
            Ok(claim) => claim,
            Err(reason) => return self.refuse(link, reason),
        };
        let claimed = claim.info.id.as_ref().map(|id| id.value.clone());
        if let Err(reason) = self.clear_namesakes(now, &claim.info.hostname, claimed.as_deref()) {
            return self.refuse(link, reason);
        }
        let id = claimed.unwrap_or_else(|| {
            let id = format!("{}-S{}", self.options.master_id, self.next_id.agent);
            self.next_id.agent += 1;
            id
        });
        claim.info.id = Some(AgentId::from(id.as_str()));
        let old = self.agents.get(&id);
        if let Some(old_link) = old.and_then(|old| old.link) {
            // The agent has dialled again before we saw its old link break.
            self.links.remove(&old_link);
            self.step.outputs.push(Output::CloseLink(old_link));
            self.withdraw_agent(now, &id);
        }
        let old = self.agents.get(&id);
        let registered = old.map_or(now, |old| old.registered);
        let reregistered = old.is_some().then_some(now);
        if reregistered.is_some() {
            self.counters.reregistrations += 1;
        } else {
            self.counters.registrations += 1;
        }
        tracing::info!(
            agent = id,
            hostname = claim.info.hostname,
            again = reregistered.is_some(),
            "agent registered"
        );
        let unavailability = self.maintenance.plan(&claim.info.hostname, claim.address);
        let agent = Agent {
            info: claim.info,
            address: claim.address,
            total: claim.total,
            link: Some(link),
            incarnation: register.incarnation,
            version: register.version,
            liveness: Liveness::Connected { pinged: now, unanswered: 0 },
            registered,
            reregistered,
            unavailability,
        };
        self.step.batch.put_agent(
            &id,
            &agent.info,
            &agent.address.to_string(),
            registered.as_secs_f64(),
            None,
        );
        self.view.set_agent(entry(&id, &agent));
        self.links.insert(link, id.clone());
        self.agents.insert(id.clone(), agent);
        self.step.tell_agent(
            link,
            ToAgent::Registered(Registered {
                agent_id: Some(id.as_str().into()),
                master_id: self.options.master_id.clone(),
                ping_interval_seconds: self.options.agent_ping_timeout.as_secs_f64(),
            }),
        );
        self.reconcile_executors(now, &id, register.executors);
        self.reconcile_agent(now, &id, register.tasks);
        if !self.view.is_current(&register.view_epoch, register.view_version) {
            let snapshot = self.view.snapshot();
            self.step.tell_agent(link, ToAgent::Snapshot(snapshot));
        }
        self.readmit(&id);
    }

    /// One machine name, one agent: an agent of that name that is linked keeps it, one
    /// that is away has been replaced.
    fn clear_namesakes(
        &mut self,
        now: Duration,
        hostname: &str,
        id: Option<&str>,
    ) -> Result<(), String> {
        let namesakes: Vec<String> = self
            .agents
            .iter()
            .filter(|(other, agent)| Some(other.as_str()) != id && agent.info.hostname == hostname)
            .map(|(other, _)| other.clone())
            .collect();
        for other in namesakes {
            let agent = &self.agents[&other];
            if agent.is_connected() {
                return Err(format!(
                    "agent {other} at {} is registered and connected as {hostname:?}; \
                     stop it, or start this one with another --hostname",
                    agent.address
                ));
            }
            tracing::warn!(agent = other, hostname, "replaced by a new agent of the same name");
            self.remove_agent(now, &other);
        }
        Ok(())
    }

    fn refuse(&mut self, link: LinkId, reason: String) {
        tracing::warn!(reason, "agent refused");
        self.step.tell_agent(link, ToAgent::Refused(Refused { reason }));
        self.step.outputs.push(Output::CloseLink(link));
    }

    /// Makes the agent's tasks and the registry's the same.
    fn reconcile_agent(&mut self, now: Duration, id: &str, reported: Vec<AgentTask>) {
        let mut missing: Vec<TaskKey> = self.tasks_of(id);
        for row in reported {
            let (Some(framework), Some(mut info), Some(status)) =
                (row.framework_id, row.info, row.status)
            else {
                tracing::warn!(agent = id, "agent reports a task without its description");
                continue;
            };
            let key = (framework.value, info.task_id.value.clone());
            missing.retain(|other| *other != key);
            info.agent_id = id.into();
            self.know_framework(now, &key.0);
            let Some(framework) = self.frameworks.get(&key.0) else { continue };
            let unwanted = framework.completed && !status.state().is_terminal();
            let known = self.tasks.get(&key);
            // A framework that was told of the loss learns that it was none.
            let back = known.is_none() && !status.state().is_terminal();
            let task = match Task::from_report(info, status, known) {
                Ok(task) => task,
                Err(error) => {
                    tracing::error!(agent = id, task = key.1, %error, "task has impossible resources");
                    continue;
                }
            };
            self.step.batch.put_task(&task.row(&key.0));
            let (kill, status) = (task.kill, task.status.clone());
            self.insert_task(key.clone(), task);
            if unwanted || kill.is_some() {
                let message = Kill {
                    framework_id: Some(key.0.as_str().into()),
                    task_id: Some(key.1.as_str().into()),
                    kill_policy: kill,
                };
                self.say_to_agent(id, ToAgent::Kill(message));
            }
            if back {
                let status = super::tasks::restatement(&status, Reason::AgentReregistered);
                self.tell(&key.0, status);
            }
        }
        // What it runs still is set again.
        self.view.release(|_, claimant| claimant.agent == id);
        for key in missing {
            let ended = self.tasks.get(&key).is_some_and(Task::is_terminal);
            if ended {
                self.forget_task(&key);
            } else {
                self.lose_task(
                    now,
                    &key,
                    TaskState::TaskGone,
                    Reason::Reconciliation,
                    "the agent does not know the task",
                );
            }
        }
    }

    /// Gives the agent and what its tasks hold to the allocator.
    fn readmit(&mut self, id: &str) {
        let mut used: BTreeMap<String, Resources> = BTreeMap::new();
        for key in self.tasks_of(id) {
            if let Some(task) = self.tasks.get(&key).filter(|task| !task.is_terminal()) {
                *used.entry(key.0).or_default() += &task.allocated();
            }
        }
        for (key, executor) in self.executors_on(id) {
            *used.entry(key.0.clone()).or_default() += &executor.allocated();
        }
        for framework in used.keys() {
            self.track(framework);
        }
        let agent = &self.agents[id];
        if self.allocator.has_agent(id) {
            agree(self.allocator.remove_agent(id));
        }
        agree(self.allocator.add_agent(id, agent_options(agent), used));
    }

    pub(super) fn link_closed(&mut self, now: Duration, link: LinkId) {
        let Some(id) = self.links.remove(&link) else { return };
        tracing::info!(agent = id, "agent disconnected");
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.link = None;
            agent.liveness = Liveness::Disconnected { since: now };
        }
        self.withdraw_agent(now, &id);
        if self.allocator.has_agent(&id) {
            agree(self.allocator.deactivate_agent(&id));
        }
    }

    /// Gives an agent up: its tasks may still run, but nobody can tell.
    pub(super) fn mark_unreachable(&mut self, now: Duration, id: &str) {
        tracing::warn!(agent = id, "agent unreachable");
        self.counters.unreachable += 1;
        self.drop_agent(now, id, TaskState::TaskUnreachable, "the agent is unreachable");
        if let Some(agent) = self.agents.get_mut(id) {
            agent.liveness = Liveness::Unreachable { since: now };
            self.step.batch.put_agent(
                id,
                &agent.info,
                &agent.address.to_string(),
                agent.registered.as_secs_f64(),
                Some(now.as_secs_f64()),
            );
        }
    }

    /// Forgets an agent for good.
    pub(super) fn remove_agent(&mut self, now: Duration, id: &str) {
        self.drop_agent(now, id, TaskState::TaskGone, "the agent was removed");
        self.agents.remove(id);
        self.view.release(|_, claimant| claimant.agent == id);
        self.step.batch.delete_agent(id);
    }

    fn drop_agent(&mut self, now: Duration, id: &str, state: TaskState, message: &str) {
        self.withdraw_agent(now, id);
        if let Some(link) = self.agents.get_mut(id).and_then(|agent| agent.link.take()) {
            self.links.remove(&link);
            self.step.outputs.push(Output::CloseLink(link));
        }
        for key in self.tasks_of(id) {
            if self.tasks.get(&key).is_some_and(Task::is_terminal) {
                self.forget_task(&key);
            } else {
                self.lose_task(now, &key, state, Reason::AgentRemoved, message);
            }
        }
        self.drop_executors(id);
        if self.allocator.has_agent(id) {
            agree(self.allocator.remove_agent(id));
        }
        self.maintenance.answers.retain(|(agent, _), _| agent != id);
        self.view.remove_agent(id);
        let mut event = Event {
            failure: Some(event::Failure {
                agent_id: Some(id.into()),
                ..event::Failure::default()
            }),
            ..Event::default()
        };
        event.set_type(event::Type::Failure);
        let frameworks: Vec<String> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            self.say_to_framework(&framework, event.clone());
        }
    }

    /// An agent may know a framework that the registry has lost: it is taken in as it
    /// is, and described when it subscribes.
    pub(super) fn know_framework(&mut self, now: Duration, id: &str) {
        if self.frameworks.contains_key(id) {
            return;
        }
        tracing::warn!(
            framework = id,
            "an agent runs tasks of a framework that is not in the registry"
        );
        let info = muster_api::mesos::FrameworkInfo {
            id: Some(id.into()),
            name: id.to_owned(),
            ..Default::default()
        };
        self.frameworks.insert(id.to_owned(), Framework::away(info, now, now, false));
        self.track(id);
    }
}

pub(super) fn entry(id: &str, agent: &Agent) -> AgentEntry {
    AgentEntry {
        agent_id: id.to_owned(),
        hostname: agent.info.hostname.clone(),
        address: agent.address.to_string(),
    }
}

fn check(register: &Register) -> Result<Claim, String> {
    let info = register.info.clone().ok_or("the registration has no info")?;
    if info.hostname.is_empty() {
        return Err("the registration's info.hostname is empty".to_owned());
    }
    let address = register.address.parse().map_err(|_| {
        format!("the registration's address {:?} is no IP address", register.address)
    })?;
    let total = Resources::from_proto(&info.resources)
        .map_err(|error| format!("the registration's info.resources: {error}"))?;
    Ok(Claim { info, address, total })
}
