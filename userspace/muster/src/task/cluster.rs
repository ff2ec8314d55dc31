//! Questions to a master and its agents.

use std::time::Duration;

use anyhow::{Context as _, bail};
use muster_api::mesos::ContainerId;
use muster_api::{TaskStateExt as _, json};
use serde_json::Value;
use ureq::Agent;

use crate::address::with_port;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that a master's state may have: of some ten thousand tasks.
const STATE_MAX: u64 = 1 << 30;

/// A cluster, by its master's address.
pub(crate) struct Cluster {
    master: String,
    client: Agent,
}

/// A task that the master knows of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) framework: String,
    /// Whose sandbox it has: its own, unless it is a task of an executor.
    pub(super) executor: String,
    /// Where it runs.
    pub(super) host: String,
    /// That agent's HTTP interface, `ADDRESS:PORT`; `None` if it is not there.
    pub(super) agent: Option<String>,
    pub(super) state: String,
    pub(super) ended: bool,
    /// The id of its container, once it has one.
    pub(super) container: Option<ContainerId>,
}

impl Found {
    /// Its agent and its container, to do something with.
    pub(super) fn place(&self) -> anyhow::Result<(&str, &ContainerId)> {
        if self.ended {
            bail!("the task {} has ended: {}", self.id, self.state)
        }
        let Some(agent) = &self.agent else {
            bail!("the agent of {}, {}, is not registered", self.id, self.host)
        };
        let container = self.container.as_ref();
        let container =
            container.with_context(|| format!("the task {} has no container yet", self.id));
        Ok((agent, container?))
    }
}

impl Cluster {
    /// The cluster whose master is at `HOST` or `HOST:PORT`.
    pub(crate) fn at(address: &str) -> Self {
        let master = with_port(address, 5050);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        Self { master, client: Agent::new_with_config(config.build()) }
    }

    /// All tasks, the newest of an id first.
    pub(super) fn tasks(&self) -> anyhow::Result<Vec<Found>> {
        let state = self.get(&self.master, "/state", &[]);
        Ok(tasks(&state.with_context(|| format!("asking the master at {}", self.master))?))
    }

    /// The HTTP interfaces of all registered agents, `ADDRESS:PORT`.
    pub(crate) fn agents(&self) -> anyhow::Result<Vec<String>> {
        let state = self.get(&self.master, "/state", &[]);
        let state = state.with_context(|| format!("asking the master at {}", self.master))?;
        let agents = state["slaves"].as_array().into_iter().flatten();
        let pids = agents.filter_map(|agent| agent["pid"].as_str()?.split_once('@'));
        Ok(pids.map(|(_, address)| address.to_owned()).collect())
    }

    /// The one task that is called `id`, or whose id alone begins with that.
    pub(super) fn task(&self, id: &str) -> anyhow::Result<Found> {
        pick(self.tasks()?, id)
    }

    /// Asks an agent: `None` if it has no such thing.
    pub(crate) fn ask(
        &self,
        agent: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Option<Value>> {
        match self.get(agent, path, query) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.downcast_ref::<NotFound>().is_some() => Ok(None),
            Err(error) => Err(error.context(format!("asking the agent at {agent}"))),
        }
    }

    fn get(&self, host: &str, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let request = self.client.get(format!("http://{host}{path}"));
        let mut answer = request.query_pairs(query.iter().copied()).call()?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(STATE_MAX).read_to_string()?;
        match status.as_u16() {
            200 => Ok(serde_json::from_str(&text).context("the answer is no JSON")?),
            404 => Err(NotFound.into()),
            _ => bail!("{status}: {}", text.trim()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("404 Not Found")]
struct NotFound;

/// What a master's `/state` says of tasks.
fn tasks(state: &Value) -> Vec<Found> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let agents = list(state, "slaves");
    let mut found = Vec::new();
    for framework in
        list(state, "frameworks").into_iter().chain(list(state, "completed_frameworks"))
    {
        for (which, ended) in [("tasks", false), ("completed_tasks", true)] {
            for task in list(&framework, which).into_iter().rev() {
                let id = text(&task, "slave_id");
                let agent = agents.iter().find(|agent| text(agent, "id") == id);
                let pid = agent.map(|agent| text(agent, "pid"));
                let executor = text(&task, "executor_id");
                found.push(Found {
                    executor: if executor.is_empty() { text(&task, "id") } else { executor },
                    id: text(&task, "id"),
                    name: text(&task, "name"),
                    framework: text(&framework, "id"),
                    host: agent.map(|agent| text(agent, "hostname")).unwrap_or(id),
                    agent: pid.and_then(|pid| Some(pid.split_once('@')?.1.to_owned())),
                    state: text(&task, "state"),
                    container: container(&task),
                    ended: ended || is_terminal(&text(&task, "state")),
                });
            }
        }
    }
    found
}

/// What the latest status with a container says.
fn container(task: &Value) -> Option<ContainerId> {
    let statuses = task["statuses"].as_array()?;
    let mut ids = statuses.iter().rev().map(|status| &status["container_status"]["container_id"]);
    json::from_value(ids.find(|id| id.is_object())?).ok()
}

fn is_terminal(state: &str) -> bool {
    let state = muster_api::mesos::TaskState::from_str_name(state);
    state.is_some_and(|state| state.is_terminal())
}

fn pick(tasks: Vec<Found>, id: &str) -> anyhow::Result<Found> {
    if let Some(task) = tasks.iter().find(|task| task.id == id) {
        return Ok(task.clone());
    }
    let mut alike: Vec<_> = tasks.into_iter().filter(|task| task.id.starts_with(id)).collect();
    alike.dedup_by(|one, other| (&one.framework, &one.id) == (&other.framework, &other.id));
    match &alike[..] {
        [] => bail!("there is no task {id}: see `muster task ls --all`"),
        [task] => Ok(task.clone()),
        many => {
            let ids: Vec<&str> = many.iter().map(|task| task.id.as_str()).collect();
            bail!("{id} could be any of {}", ids.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> Value {
        let container = json!({"container_id": {"value": "c", "parent": {"value": "p"}}});
        let task = |id: &str, state: &str| {
            json!({
                "id": id, "name": "n", "slave_id": "s", "state": state,
                "statuses": [{"container_status": container}, {}],
            })
        };
        json!({
            "slaves": [{"id": "s", "hostname": "h", "pid": "slave(1)@10.0.0.1:5051"}],
            "frameworks": [{
                "id": "f",
                "tasks": [task("web.1", "TASK_RUNNING"), task("web.2", "TASK_FAILED")],
                "completed_tasks": [task("db.1", "TASK_FINISHED")],
            }],
        })
    }

    #[test]
    fn tasks_with_their_agents() {
        let tasks = tasks(&state());
        let running = tasks.iter().find(|task| task.id == "web.1").unwrap();
        assert_eq!(running.agent.as_deref(), Some("10.0.0.1:5051"));
        assert_eq!((running.host.as_str(), running.framework.as_str()), ("h", "f"));
        let (agent, container) = running.place().unwrap();
        assert_eq!(agent, "10.0.0.1:5051");
        assert_eq!(container.parent.as_ref().unwrap().value, "p");
        let over = tasks.iter().find(|task| task.id == "db.1").unwrap().place().unwrap_err();
        assert_eq!(over.to_string(), "the task db.1 has ended: TASK_FINISHED");
        let ended: Vec<_> = tasks.iter().filter(|t| t.ended).map(|t| t.id.as_str()).collect();
        assert_eq!(ended, ["web.2", "db.1"]);
    }

    #[test]
    fn a_task_by_its_id_or_the_beginning_of_it() {
        let found = |id: &str| pick(tasks(&state()), id).map(|task| task.id);
        assert_eq!(found("web.1").unwrap(), "web.1");
        assert_eq!(found("d").unwrap(), "db.1");
        assert!(found("web").unwrap_err().to_string().contains("web.2, web.1"));
        assert!(found("x").unwrap_err().to_string().contains("no task x"));
    }
}
