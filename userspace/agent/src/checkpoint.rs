//! What an agent keeps on disk, and how it reads it back.

use std::collections::BTreeMap;

use muster_api::mesos::{AgentId, ExecutorInfo, FrameworkId, FrameworkInfo, TaskInfo, TaskStatus};
use muster_store::Store;
use prost::Message;

use crate::Error;

/// One row, under [`AGENT_KEY`]: who the agent is.
pub(crate) const AGENT: &str = "agent";
/// The only key of [`AGENT`].
pub(crate) const AGENT_KEY: &str = "identity";
/// A row per task, by container id.
pub(crate) const TASKS: &str = "tasks";
/// A row per status update without acknowledgement, by container id and number.
pub(crate) const UPDATES: &str = "updates";

/// A row per executor, by container id.
pub(crate) const EXECUTORS: &str = "executors";

/// Who the agent is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AgentRow {
    /// The id that the master gave it.
    #[prost(string, tag = "1")]
    pub agent_id: String,
}

/// A task.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TaskRow {
    /// Whose task it is.
    #[prost(message, required, tag = "1")]
    pub framework_id: FrameworkId,
    /// What was asked for.
    #[prost(message, required, tag = "2")]
    pub info: TaskInfo,
    /// Where it runs; the row's key.
    #[prost(string, tag = "3")]
    pub container_id: String,
    /// Its latest status.
    #[prost(message, required, tag = "4")]
    pub status: TaskStatus,
    /// Set once it is to be killed.
    #[prost(message, optional, tag = "5")]
    pub kill: Option<KillRow>,
    /// Whether its framework wants to hear `TASK_KILLING`.
    #[prost(bool, tag = "6")]
    pub tell_killing: bool,
    /// The container of the executor that runs it; unset if the agent does.
    #[prost(string, optional, tag = "7")]
    pub host: Option<String>,
    /// Uuids of the latest updates of its executor.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub seen: Vec<Vec<u8>>,
    /// The group that it was launched in, if it was.
    #[prost(string, optional, tag = "9")]
    pub group: Option<String>,
    /// Whether the agent runs it, in a container nested in its executor's.
    #[prost(bool, tag = "10")]
    pub inside: bool,
    /// When its command was executed, in nanoseconds since 1970.
    #[prost(uint64, optional, tag = "11")]
    pub started: Option<u64>,
    /// How many health checks in a row have failed.
    #[prost(uint32, tag = "12")]
    pub failures: u32,
    /// Its framework, as it was when the task was launched.
    #[prost(message, optional, tag = "13")]
    pub framework: Option<FrameworkInfo>,
}

/// An executor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecutorRow {
    /// Whose executor it is.
    #[prost(message, required, tag = "1")]
    pub framework: FrameworkInfo,
    /// What was asked for.
    #[prost(message, required, tag = "2")]
    pub info: ExecutorInfo,
    /// Where it runs; the row's key.
    #[prost(string, tag = "3")]
    pub container_id: String,
    /// The agent's id when it was launched.
    #[prost(message, required, tag = "4")]
    pub agent_id: AgentId,
    /// Whether it has ever subscribed.
    #[prost(bool, tag = "5")]
    pub known: bool,
    /// Set once it is to end.
    #[prost(message, optional, tag = "6")]
    pub ending: Option<EndingRow>,
}

/// A decision to end an executor: what is told of the tasks that it leaves.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndingRow {
    /// Their state, by number.
    #[prost(int32, tag = "1")]
    pub state: i32,
    /// The reason, by number.
    #[prost(int32, tag = "2")]
    pub reason: i32,
    /// The message.
    #[prost(string, tag = "3")]
    pub message: String,
}

/// A decision to kill a task.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KillRow {
    /// Nanoseconds from SIGTERM to SIGKILL.
    #[prost(uint64, tag = "1")]
    pub grace: u64,
    /// Why it is unhealthy; unset when the framework asked for the kill.
    #[prost(string, optional, tag = "2")]
    pub unhealthy: Option<String>,
    /// Whether its command had not been executed when the kill was decided.
    #[prost(bool, tag = "3")]
    pub during_launch: bool,
    /// Whether the framework said how long; only of tasks with an executor, which else goes
    /// by the task's own policy.
    #[prost(bool, tag = "4")]
    pub given: bool,
    /// Whether its time to complete was over.
    #[prost(bool, tag = "5")]
    pub overdue: bool,
}

/// Everything the store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The agent, once a master has registered it.
    pub agent: Option<AgentRow>,
    /// The tasks.
    pub tasks: Vec<TaskRow>,
    /// For each container id its task's updates in order, with their numbers.
    pub updates: BTreeMap<String, Vec<(u64, TaskStatus)>>,
    /// The executors.
    pub executors: Vec<ExecutorRow>,
}

/// The key of an update's row. Numbers are padded: key order is number order.
pub(crate) fn update_key(container: &str, number: u64) -> String {
    format!("{container}/{number:020}")
}

impl Checkpoint {
    /// Reads everything.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read, [`Error::Checkpoint`] when a row
    /// of it makes no sense.
    pub fn load(store: &dyn Store) -> Result<Self, Error> {
        let mut checkpoint = Self::default();
        for (key, value) in store.scan(AGENT)? {
            if key != AGENT_KEY {
                return Err(bad(AGENT, key, "is not known to this version"));
            }
            checkpoint.agent = Some(decode(AGENT, &key, &value)?);
        }
        for (key, value) in store.scan(TASKS)? {
            let task: TaskRow = decode(TASKS, &key, &value)?;
            if task.container_id != key {
                return Err(bad(TASKS, key, "names another container"));
            }
            checkpoint.tasks.push(task);
        }
        for (key, value) in store.scan(EXECUTORS)? {
            let executor: ExecutorRow = decode(EXECUTORS, &key, &value)?;
            if executor.container_id != key {
                return Err(bad(EXECUTORS, key, "names another container"));
            }
            checkpoint.executors.push(executor);
        }
        for (key, value) in store.scan(UPDATES)? {
            let status = decode(UPDATES, &key, &value)?;
            // A nested container's id holds one itself.
            let parts = key.rsplit_once('/').map(|(id, number)| (id.to_owned(), number.parse()));
            let Some((container, Ok(number))) = parts else {
                return Err(bad(UPDATES, key, "is no container id and number"));
            };
            if !checkpoint.tasks.iter().any(|task| task.container_id == container) {
                return Err(bad(UPDATES, key, "belongs to no task"));
            }
            checkpoint.updates.entry(container).or_default().push((number, status));
        }
        Ok(checkpoint)
    }
}

fn decode<M: Message + Default>(table: &'static str, key: &str, value: &[u8]) -> Result<M, Error> {
    M::decode(value).map_err(|error| bad(table, key.to_owned(), &error.to_string()))
}

fn bad(table: &'static str, key: String, problem: &str) -> Error {
    Error::Checkpoint { table, key, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::TaskState;
    use muster_store::{Batch, Memory};

    use super::*;

    fn row() -> TaskRow {
        TaskRow {
            framework_id: "f".into(),
            info: TaskInfo { name: "n".into(), task_id: "t".into(), ..Default::default() },
            container_id: "c".into(),
            status: TaskStatus { task_id: "t".into(), ..Default::default() },
            kill: Some(KillRow {
                grace: 5,
                unhealthy: Some("no".into()),
                during_launch: false,
                given: true,
                overdue: false,
            }),
            tell_killing: true,
            host: Some("h".into()),
            seen: vec![vec![1; 16]],
            group: Some("g".into()),
            inside: true,
            started: Some(7),
            failures: 2,
            framework: Some(FrameworkInfo { name: "n".into(), ..Default::default() }),
        }
    }

    fn status(state: TaskState) -> TaskStatus {
        TaskStatus { task_id: "t".into(), state: state.into(), ..Default::default() }
    }

    #[test]
    fn rows_come_back_in_order() {
        let store = Memory::default();
        assert_eq!(Checkpoint::load(&store).unwrap(), Checkpoint::default());
        let agent = AgentRow { agent_id: "m-S0".into() };
        let mut batch = Batch::default();
        batch.put(AGENT, AGENT_KEY, agent.encode_to_vec());
        batch.put(TASKS, "c", row().encode_to_vec());
        // Ten comes after nine, also as text.
        let states = [(9, TaskState::TaskStarting), (10, TaskState::TaskRunning)];
        for (number, state) in states {
            batch.put(UPDATES, update_key("c", number), status(state).encode_to_vec());
        }
        store.commit(batch).unwrap();
        let expected = Checkpoint {
            agent: Some(agent),
            tasks: vec![row()],
            executors: Vec::new(),
            updates: [("c".into(), states.map(|(n, state)| (n, status(state))).to_vec())].into(),
        };
        assert_eq!(Checkpoint::load(&store).unwrap(), expected);
    }

    #[test]
    fn rows_that_make_no_sense_are_named() {
        let cases: [(&'static str, &str, Vec<u8>, &str); 5] = [
            (TASKS, "c", vec![0xff], "tasks/c"),
            (TASKS, "d", row().encode_to_vec(), "tasks/d: names another container"),
            (AGENT, "other", Vec::new(), "agent/other: is not known"),
            (UPDATES, "c", Vec::new(), "updates/c: "),
            (UPDATES, "x/1", status(TaskState::TaskLost).encode_to_vec(), "belongs to no task"),
        ];
        for (table, key, value, expected) in cases {
            let store = Memory::default();
            let mut batch = Batch::default();
            batch.put(table, key, value);
            store.commit(batch).unwrap();
            let error = Checkpoint::load(&store).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
