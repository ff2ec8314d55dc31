//! What has to hold.

use muster_agent::{Checkpoint, Task};
use muster_api::mesos::TaskStatus;
use muster_api::muster::{AgentMessage, agent_message};
use muster_store::Store;

use super::World;
use crate::simulation::master::EXECUTOR;

impl World {
    /// Nothing is left of any task, and the master knows how each one ended.
    pub(crate) fn assert_at_rest(&self) {
        let agent = self.agent.as_ref().unwrap();
        assert!(agent.registered());
        assert_eq!(agent.tasks().map(Task::container_id).collect::<Vec<_>>(), [""; 0]);
        assert!(self.machine.containers.is_empty(), "{:?}", self.machine.containers);
        let checkpoint = Checkpoint::load(&self.store).unwrap();
        assert!(checkpoint.tasks.is_empty() && checkpoint.updates.is_empty(), "{checkpoint:?}");
        assert!(checkpoint.executors.is_empty(), "{checkpoint:?}");
        for task in &self.delivered {
            assert!(self.master.knows_end(task), "{task} was delivered and its end is unknown");
        }
        self.master.assert_at_rest();
        for container in &self.machine.executed {
            let task = &self.tasks[container];
            if task.starts_with(EXECUTOR) {
                continue;
            }
            assert!(self.master.knows_end(task), "{task} ran and its end is unknown");
        }
    }

    /// What the agent says of its tasks must be on disk, unless the disk is the matter.
    pub(super) fn check(&self, message: &AgentMessage) {
        let agent = self.agent.as_ref().unwrap();
        let rows = self.store.scan("updates").unwrap();
        let written = |status: &TaskStatus| {
            let uuid = status.uuid.as_deref().unwrap();
            rows.iter().any(|(_, row)| row.windows(uuid.len()).any(|bytes| bytes == uuid))
        };
        match message.message.as_ref().unwrap() {
            agent_message::Message::Update(update) => {
                let status = update.status.as_ref().unwrap();
                let unwritable = status.message().starts_with("cannot checkpoint the task");
                assert!(unwritable || written(status), "told unwritten: {status:?}");
            }
            agent_message::Message::Register(register) if agent.store_failure().is_none() => {
                for task in register.tasks.iter().filter(|task| task.unacknowledged) {
                    let status = task.status.as_ref().unwrap();
                    let unwritable = status.message().starts_with("cannot checkpoint the task");
                    assert!(unwritable || written(status), "told unwritten: {status:?}");
                }
            }
            _ => {}
        }
    }
}
