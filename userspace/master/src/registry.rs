//! The registry: what the master must not forget, as rows of a [`Store`].
//!
//! Unlike Mesos, tasks are in it too. A restarted master therefore knows at once what
//! runs where: the cluster view it streams is whole before the first agent is back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use muster_api::mesos::maintenance::Schedule;
use muster_api::mesos::quota::QuotaConfig;
use muster_api::mesos::{AgentInfo, FrameworkInfo, MachineInfo, WeightInfo};
use muster_api::muster::{AgentExecutor, AgentTask, RegistryAgent, RegistryFramework};
use muster_store::{Batch, Store};
use prost::Message;

use crate::Error;

const AGENTS: &str = "registry.agents";
const FRAMEWORKS: &str = "registry.frameworks";
const TASKS: &str = "registry.tasks";
const EXECUTORS: &str = "registry.executors";
const VIPS: &str = "registry.vips";
const VIPS6: &str = "registry.vips6";
const WEIGHTS: &str = "registry.weights";
const QUOTAS: &str = "registry.quotas";
const MACHINES: &str = "registry.machines";
const MAINTENANCE: &str = "registry.maintenance";
/// The one row of it.
const SCHEDULE: &str = "schedule";

/// Everything the registry holds, as read at start.
#[derive(Debug, Default)]
pub struct Registry {
    /// Admitted agents by id.
    pub agents: BTreeMap<String, RegistryAgent>,
    /// Frameworks by id.
    pub frameworks: BTreeMap<String, RegistryFramework>,
    /// Tasks that are not both terminal and acknowledged.
    pub tasks: Vec<AgentTask>,
    /// Executors that have not ended.
    pub executors: Vec<AgentExecutor>,
    /// Service names of named VIPs, with their addresses: of each family at most one.
    pub vips: Vec<(String, IpAddr)>,
    /// Weights by role.
    pub weights: BTreeMap<String, f64>,
    /// Quota by role, where there is any.
    pub quotas: BTreeMap<String, QuotaConfig>,
    /// When machines are down.
    pub schedule: Schedule,
    /// The machines of the schedule.
    pub machines: Vec<MachineInfo>,
}

impl Registry {
    /// Reads all rows.
    ///
    /// # Errors
    /// [`Error::Store`] when they cannot be read, [`Error::Row`] when one makes no sense.
    pub fn load(store: &dyn Store) -> Result<Self, Error> {
        let mut registry = Self::default();
        for (key, value) in store.scan(AGENTS)? {
            let agent = decode(AGENTS, &key, &value)?;
            registry.agents.insert(key, agent);
        }
        for (key, value) in store.scan(FRAMEWORKS)? {
            let framework = decode(FRAMEWORKS, &key, &value)?;
            registry.frameworks.insert(key, framework);
        }
        for (key, value) in store.scan(TASKS)? {
            registry.tasks.push(decode(TASKS, &key, &value)?);
        }
        for (key, value) in store.scan(EXECUTORS)? {
            registry.executors.push(decode(EXECUTORS, &key, &value)?);
        }
        for (key, value) in store.scan(VIPS)? {
            let address = octets::<4>(VIPS, &key, &value)?;
            registry.vips.push((key, address.into()));
        }
        for (key, value) in store.scan(VIPS6)? {
            let address = octets::<16>(VIPS6, &key, &value)?;
            registry.vips.push((key, address.into()));
        }
        for (key, value) in store.scan(WEIGHTS)? {
            let info: WeightInfo = decode(WEIGHTS, &key, &value)?;
            registry.weights.insert(key, info.weight);
        }
        for (key, value) in store.scan(QUOTAS)? {
            let config = decode(QUOTAS, &key, &value)?;
            registry.quotas.insert(key, config);
        }
        for (key, value) in store.scan(MACHINES)? {
            registry.machines.push(decode(MACHINES, &key, &value)?);
        }
        for (key, value) in store.scan(MAINTENANCE)? {
            registry.schedule = decode(MAINTENANCE, &key, &value)?;
        }
        Ok(registry)
    }
}

fn octets<const N: usize>(table: &'static str, key: &str, value: &[u8]) -> Result<[u8; N], Error> {
    value.try_into().map_err(|_| Error::Row {
        table,
        key: key.to_owned(),
        reason: format!("{} bytes are no address, which has {N}", value.len()),
    })
}

fn decode<M: Message + Default>(table: &'static str, key: &str, value: &[u8]) -> Result<M, Error> {
    M::decode(value).map_err(|e| Error::Row { table, key: key.to_owned(), reason: e.to_string() })
}

/// Rows to be written, in the registry's terms.
pub trait RegistryBatch {
    /// Admits an agent, or changes what is known of it.
    fn put_agent(
        &mut self,
        id: &str,
        info: &AgentInfo,
        address: &str,
        registered_time: f64,
        unreachable_since: Option<f64>,
    );
    /// Forgets an agent.
    fn delete_agent(&mut self, id: &str);
    /// Writes a framework.
    fn put_framework(&mut self, id: &str, info: &FrameworkInfo, time: f64, completed: bool);
    /// Writes a task with its latest status.
    fn put_task(&mut self, task: &AgentTask);
    /// Forgets a task.
    fn delete_task(&mut self, framework: &str, task: &str);
    /// Writes an executor.
    fn put_executor(&mut self, executor: &AgentExecutor);
    /// Forgets an executor.
    fn delete_executor(&mut self, framework: &str, agent: &str, executor: &str);
    /// Gives a named VIP its address of a family until it is taken back.
    fn put_vip(&mut self, service: &str, address: IpAddr);
    /// Takes a named VIP's address of a family back.
    fn delete_vip(&mut self, service: &str, address: IpAddr);
    /// Sets a role's weight.
    fn put_weight(&mut self, role: &str, weight: f64);
    /// Sets a role's quota.
    fn put_quota(&mut self, config: &QuotaConfig);
    /// Forgets a role's quota.
    fn delete_quota(&mut self, role: &str);
    /// Writes when machines are down.
    fn put_schedule(&mut self, schedule: &Schedule);
    /// Writes a machine of the schedule.
    fn put_machine(&mut self, hostname: &str, ip: &str, info: &MachineInfo);
    /// Forgets a machine.
    fn delete_machine(&mut self, hostname: &str, ip: &str);
}

impl RegistryBatch for Batch {
    fn put_agent(
        &mut self,
        id: &str,
        info: &AgentInfo,
        address: &str,
        registered_time: f64,
        unreachable_since: Option<f64>,
    ) {
        let row = RegistryAgent {
            info: Some(info.clone()),
            address: address.to_owned(),
            unreachable_since,
            registered_time,
        };
        self.put(AGENTS, id, row.encode_to_vec());
    }

    fn delete_agent(&mut self, id: &str) {
        self.delete(AGENTS, id);
    }

    fn put_framework(&mut self, id: &str, info: &FrameworkInfo, time: f64, completed: bool) {
        let row = RegistryFramework { info: Some(info.clone()), registered_time: time, completed };
        self.put(FRAMEWORKS, id, row.encode_to_vec());
    }

    fn put_task(&mut self, task: &AgentTask) {
        let framework = task.framework_id.as_ref().map_or("", |id| id.value.as_str());
        let id = task.info.as_ref().map_or("", |info| info.task_id.value.as_str());
        self.put(TASKS, task_key(framework, id), task.encode_to_vec());
    }

    fn delete_task(&mut self, framework: &str, task: &str) {
        self.delete(TASKS, task_key(framework, task));
    }

    fn put_executor(&mut self, executor: &AgentExecutor) {
        let framework = executor.framework_id.as_ref().map_or("", |id| id.value.as_str());
        let agent = executor.agent_id.as_ref().map_or("", |id| id.value.as_str());
        let id = executor.info.as_ref().map_or("", |info| info.executor_id.value.as_str());
        self.put(EXECUTORS, executor_key(framework, agent, id), executor.encode_to_vec());
    }

    fn delete_executor(&mut self, framework: &str, agent: &str, executor: &str) {
        self.delete(EXECUTORS, executor_key(framework, agent, executor));
    }

    fn put_vip(&mut self, service: &str, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.put(VIPS, service, address.octets().to_vec()),
            IpAddr::V6(address) => self.put(VIPS6, service, address.octets().to_vec()),
        }
    }

    fn delete_vip(&mut self, service: &str, address: IpAddr) {
        match address {
            IpAddr::V4(_) => self.delete(VIPS, service),
            IpAddr::V6(_) => self.delete(VIPS6, service),
        }
    }

    fn put_weight(&mut self, role: &str, weight: f64) {
        let row = WeightInfo { weight, role: Some(role.to_owned()) };
        self.put(WEIGHTS, role, row.encode_to_vec());
    }

    fn put_quota(&mut self, config: &QuotaConfig) {
        self.put(QUOTAS, config.role.as_str(), config.encode_to_vec());
    }

    fn delete_quota(&mut self, role: &str) {
        self.delete(QUOTAS, role);
    }

    fn put_schedule(&mut self, schedule: &Schedule) {
        self.put(MAINTENANCE, SCHEDULE, schedule.encode_to_vec());
    }

    fn put_machine(&mut self, hostname: &str, ip: &str, info: &MachineInfo) {
        self.put(MACHINES, machine_key(hostname, ip), info.encode_to_vec());
    }

    fn delete_machine(&mut self, hostname: &str, ip: &str) {
        self.delete(MACHINES, machine_key(hostname, ip));
    }
}

/// Addresses hold no '/', so the key is unique.
fn machine_key(hostname: &str, ip: &str) -> String {
    format!("{ip}/{hostname}")
}

/// Ids hold no '/', so the key is unique.
fn task_key(framework: &str, task: &str) -> String {
    format!("{framework}/{task}")
}

/// Ids hold no '/', so the key is unique.
fn executor_key(framework: &str, agent: &str, executor: &str) -> String {
    format!("{framework}/{agent}/{executor}")
}
