//! A master starts with what the one before it wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::muster::{AgentTask, RegistryAgent, RegistryFramework};
use muster_resources::Resources;

use super::agents::entry;
use super::{Agent, Framework, Liveness, Master, Task};
use crate::Error;

impl Master {
    pub(super) fn restore(
        &mut self,
        agents: BTreeMap<String, RegistryAgent>,
        frameworks: BTreeMap<String, RegistryFramework>,
        tasks: Vec<AgentTask>,
        now: Duration,
    ) -> Result<(), Error> {
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
        Ok(())
    }
}

/// A stored time; nonsense counts as 1970.
fn seconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time).unwrap_or_default()
}
