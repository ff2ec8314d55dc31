//! Executors: what they hold on their agents, and what is said between them and frameworks.

use std::time::Duration;

use muster_api::mesos::ExecutorInfo;
use muster_api::mesos::resource::AllocationInfo;
use muster_api::mesos::scheduler::{Event, call, event};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{AgentExecutor, ExecutorExited, ExecutorMessage, ShutdownExecutor};
use muster_resources::Resources;

use super::allocation::agree;
use super::{LinkId, Master};
use crate::registry::RegistryBatch as _;

/// An executor from its first task's launch to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Executor {
    /// What the framework asked for.
    pub info: ExecutorInfo,
    /// What it holds beside its tasks'; given back when it ends.
    pub resources: Resources,
    /// In which role.
    pub role: String,
}

/// A framework's id, an agent's, and an executor's: there may be one of an id on each agent.
pub type ExecutorKey = (String, String, String);

impl Executor {
    /// An executor as a framework describes it: it is launched in `role` unless it says so.
    pub(super) fn new(
        mut info: ExecutorInfo,
        framework: &str,
        role: Option<&str>,
    ) -> Result<Self, muster_resources::Error> {
        info.framework_id = Some(framework.into());
        for resource in &mut info.resources {
            if let (None, Some(role)) = (&resource.allocation_info, role) {
                resource.allocation_info = Some(AllocationInfo { role: Some(role.to_owned()) });
            }
        }
        let resources = Resources::from_proto(&info.resources)?.unallocated();
        let own = info.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
        let role = own.or(role.map(str::to_owned)).unwrap_or_else(|| "*".to_owned());
        Ok(Self { info, resources, role })
    }

    /// What it holds, marked with its role.
    pub fn allocated(&self) -> Resources {
        self.resources.clone().allocated_to(&self.role)
    }

    fn row(&self, key: &ExecutorKey) -> AgentExecutor {
        AgentExecutor {
            framework_id: Some(key.0.as_str().into()),
            info: Some(self.info.clone()),
            agent_id: Some(key.1.as_str().into()),
        }
    }
}

impl Master {
    pub(super) fn insert_executor(&mut self, key: ExecutorKey, executor: Executor) {
        self.step.batch.put_executor(&executor.row(&key));
        self.executors.insert(key, executor);
    }

    /// Forgets an executor; what it held is given back if its agent takes part.
    fn forget_executor(&mut self, key: &ExecutorKey) -> Option<Executor> {
        let executor = self.executors.remove(key)?;
        self.step.batch.delete_executor(&key.0, &key.1, &key.2);
        Some(executor)
    }

    /// An agent says that an executor has ended.
    pub(super) fn executor_exited(&mut self, link: LinkId, exited: &ExecutorExited) {
        let Some(agent) = self.links.get(&link).cloned() else { return };
        let (Some(framework), Some(executor)) = (&exited.framework_id, &exited.executor_id) else {
            tracing::warn!(agent, "end of an executor without its ids ignored");
            return;
        };
        let key = (framework.value.clone(), agent, executor.value.clone());
        if let Some(executor) = self.forget_executor(&key)
            && self.allocator.has_agent(&key.1)
        {
            let held = &executor.resources;
            agree(self.allocator.finish(&key.0, &executor.role, &key.1, held));
        }
        self.tell_failure(&key, Some(exited.status));
        self.retire(&key.0);
    }

    fn tell_failure(&mut self, key: &ExecutorKey, status: Option<i32>) {
        let failure = event::Failure {
            agent_id: Some(key.1.as_str().into()),
            executor_id: Some(key.2.as_str().into()),
            status,
        };
        let mut event = Event { failure: Some(failure), ..Event::default() };
        event.set_type(event::Type::Failure);
        self.say_to_framework(&key.0, event);
    }

    /// Makes the agent's executors and the registry's the same; the allocator is told later.
    pub(super) fn reconcile_executors(
        &mut self,
        now: Duration,
        agent: &str,
        reported: Vec<AgentExecutor>,
    ) {
        let mut missing = self.executors_on(agent).map(|(key, _)| key.clone()).collect::<Vec<_>>();
        for row in reported {
            let (Some(framework), Some(info)) = (row.framework_id, row.info) else {
                tracing::warn!(agent, "agent reports an executor without its description");
                continue;
            };
            let key = (framework.value, agent.to_owned(), info.executor_id.value.clone());
            missing.retain(|other| *other != key);
            self.know_framework(now, &key.0);
            match Executor::new(info, &key.0, None) {
                Ok(executor) => self.insert_executor(key.clone(), executor),
                Err(error) => {
                    tracing::error!(agent, executor = key.2, %error, "executor has impossible resources");
                }
            }
            if self.frameworks.get(&key.0).is_some_and(|framework| framework.completed) {
                self.shut_down(&key);
            }
        }
        for key in missing {
            self.forget_executor(&key);
            self.tell_failure(&key, None);
            self.retire(&key.0);
        }
    }

    /// Forgets the executors of an agent that is given up: so much is told of the agent.
    pub(super) fn drop_executors(&mut self, agent: &str) {
        let keys: Vec<ExecutorKey> = self.executors_on(agent).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.forget_executor(&key);
        }
    }

    /// Asks all executors of a framework to end.
    pub(super) fn shut_down_executors(&mut self, framework: &str) {
        let keys: Vec<ExecutorKey> =
            self.executors_of(framework).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.shut_down(&key);
        }
    }

    /// Asks all executors on an agent to end.
    pub(super) fn shut_down_executors_on(&mut self, agent: &str) {
        let keys: Vec<ExecutorKey> = self.executors_on(agent).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.shut_down(&key);
        }
    }

    fn shut_down(&mut self, key: &ExecutorKey) {
        let message = ShutdownExecutor {
            framework_id: Some(key.0.as_str().into()),
            executor_id: Some(key.2.as_str().into()),
        };
        self.say_to_agent(&key.1, ToAgent::ShutdownExecutor(message));
    }

    /// A framework wants an executor gone.
    pub(super) fn shutdown(&mut self, framework: &str, shutdown: call::Shutdown) {
        let agent = shutdown.agent_id.value;
        let key = (framework.to_owned(), agent, shutdown.executor_id.value);
        if self.executors.contains_key(&key) {
            self.shut_down(&key);
        } else {
            tracing::warn!(framework, executor = key.2, "SHUTDOWN of an unknown executor ignored");
        }
    }

    /// A framework says something to an executor.
    pub(super) fn message(&mut self, framework: &str, message: call::Message) {
        let agent = message.agent_id.value;
        let message = ExecutorMessage {
            framework_id: Some(framework.into()),
            executor_id: Some(message.executor_id),
            data: message.data,
        };
        if !self.say_to_agent(&agent, ToAgent::ExecutorMessage(message)) {
            tracing::warn!(framework, agent, "MESSAGE to an agent that is away is lost");
        }
    }

    /// An executor says something to its framework.
    pub(super) fn executor_message(&mut self, link: LinkId, message: ExecutorMessage) {
        let Some(agent) = self.links.get(&link).cloned() else { return };
        let (Some(framework), Some(executor_id)) = (message.framework_id, message.executor_id)
        else {
            tracing::warn!(agent, "message of an executor without its ids ignored");
            return;
        };
        let agent_id = agent.as_str().into();
        let message = event::Message { agent_id, executor_id, data: message.data };
        let mut event = Event { message: Some(message), ..Event::default() };
        event.set_type(event::Type::Message);
        self.say_to_framework(&framework.value, event);
    }

    /// Executors by framework, agent and their own id.
    pub fn executors(&self) -> &std::collections::BTreeMap<ExecutorKey, Executor> {
        &self.executors
    }

    /// The executors on one agent.
    pub fn executors_on(&self, agent: &str) -> impl Iterator<Item = (&ExecutorKey, &Executor)> {
        self.executors.iter().filter(move |(key, _)| key.1 == agent)
    }

    /// The executors of one framework.
    pub fn executors_of(&self, framework: &str) -> impl Iterator<Item = (&ExecutorKey, &Executor)> {
        let from = (framework.to_owned(), String::new(), String::new());
        self.executors.range(from..).take_while(move |(key, _)| key.0 == framework)
    }
}
