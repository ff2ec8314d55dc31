//! A master starts with what the one before it wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::mesos::quota::QuotaConfig;
use muster_api::muster::RegistryAgent;
use muster_resources::Resources;

use super::agents::entry;
use super::maintenance::Maintenance;
use super::{Agent, Executor, Framework, Liveness, Master, Task};
use crate::registry::Registry;
use crate::{Error, quota};

impl Master {
    pub(super) fn restore(&mut self, registry: Registry, now: Duration) -> Result<(), Error> {
        let Registry {
            agents,
            frameworks,
            tasks,
            executors,
            weights,
            quotas,
            schedule,
            machines,
            vips: _,
        } = registry;
        self.restore_policy(now, &agents, weights, quotas)?;
        self.maintenance = Maintenance::restore(schedule, machines);
        for (id, row) in agents {
            let bad = |reason: String| Error::Row { table: "agents", key: id.clone(), reason };
            let info = row.info.ok_or_else(|| bad("it has no info".to_owned()))?;
            let address =
                row.address.parse().map_err(|_| bad(format!("address {:?}", row.address)))?;
            let total = Resources::from_proto(&info.resources).map_err(|e| bad(e.to_string()))?;
            let liveness = match row.unreachable_since {
                Some(since) => Liveness::Unreachable { since: seconds(since) },
                None => Liveness::Recovered { since: now },
            };
            let unavailability = self.maintenance.plan(&info.hostname, address);
            let agent = Agent {
                info,
                address,
                total,
                link: None,
                incarnation: String::new(),
                version: String::new(),
                liveness,
                registered: seconds(row.registered_time),
                reregistered: None,
                unavailability,
            };
            if row.unreachable_since.is_none() {
                self.view.set_agent(entry(&id, &agent));
            }
            self.agents.insert(id, agent);
        }
        for (id, row) in frameworks {
            let info = row.info.ok_or_else(|| Error::Row {
                table: "frameworks",
                key: id.clone(),
                reason: "it has no info".to_owned(),
            })?;
            let framework = Framework::away(info, seconds(row.registered_time), now, row.completed);
            self.frameworks.insert(id.clone(), framework);
            if !row.completed {
                self.track(&id);
            }
        }
        for row in tasks {
            let bad = |key: &str, reason: String| Error::Row {
                table: "tasks",
                key: key.to_owned(),
                reason,
            };
            let (Some(framework), Some(info), Some(status)) =
                (row.framework_id, row.info, row.status)
            else {
                return Err(bad("?", "it has no framework, info or status".to_owned()));
            };
            let key = (framework.value, info.task_id.value.clone());
            let task =
                Task::from_report(info, status, None).map_err(|e| bad(&key.1, e.to_string()))?;
            self.insert_task(key, task);
        }
        for row in executors {
            let bad = |key: &str, reason: String| Error::Row {
                table: "executors",
                key: key.to_owned(),
                reason,
            };
            let (Some(framework), Some(info), Some(agent)) =
                (row.framework_id, row.info, row.agent_id)
            else {
                return Err(bad("?", "it has no framework, info or agent".to_owned()));
            };
            let key = (framework.value, agent.value, info.executor_id.value.clone());
            let executor =
                Executor::new(info, &key.0, None).map_err(|e| bad(&key.2, e.to_string()))?;
            self.executors.insert(key, executor);
        }
        Ok(())
    }
}

impl Master {
    /// Weights and quota come first: with quota, nothing is offered before enough of the agents
    /// are back.
    fn restore_policy(
        &mut self,
        now: Duration,
        agents: &BTreeMap<String, RegistryAgent>,
        weights: BTreeMap<String, f64>,
        quotas: BTreeMap<String, QuotaConfig>,
    ) -> Result<(), Error> {
        for (role, weight) in weights {
            self.allocator.update_weight(&role, weight).map_err(|error| Error::Row {
                table: "weights",
                key: role.clone(),
                reason: error.to_string(),
            })?;
            self.weights.insert(role, weight);
        }
        let mut known = BTreeMap::new();
        for (role, config) in quotas {
            let bad = |reason| Error::Row { table: "quotas", key: role.clone(), reason };
            let quota = quota::read(&config).map_err(bad)?;
            known.insert(role, quota);
        }
        let expected = agents.values().filter(|row| row.unreachable_since.is_none()).count();
        self.allocator.start_recovery(now, expected, known).map_err(|error| Error::Row {
            table: "quotas",
            key: "?".to_owned(),
            reason: error.to_string(),
        })
    }
}

/// A stored time; nonsense counts as 1970.
fn seconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time).unwrap_or_default()
}
