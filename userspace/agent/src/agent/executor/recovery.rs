//! Executors of before the agent's restart.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_api::TaskStateExt;
use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;
use muster_containerizer::Termination;

use super::super::{Agent, Found, Output, Phase, Task, Timer, spec, task};
use super::{Executor, ExecutorKey};
use crate::checkpoint::ExecutorRow;

impl Agent {
    /// A task of an executor: it is as that says when it subscribes, or over if it is gone.
    pub(in super::super) fn recover_hosted(&mut self, mut task: Task) {
        task.phase = match task.status.state() {
            TaskState::TaskStaging => Phase::Launching,
            state if state.is_terminal() => Phase::Ended,
            _ => Phase::Running,
        };
        self.insert(task);
    }

    /// Takes over the executors that run, and ends the tasks of the others.
    pub(in super::super) fn recover_executors(
        &mut self,
        now: Duration,
        rows: Vec<ExecutorRow>,
        found: &mut BTreeMap<String, Found>,
    ) {
        for row in rows {
            let container = found.remove(&row.container_id);
            let executor = from_row(row);
            let key = executor.key();
            self.hosts.insert(executor.container.clone(), key.clone());
            self.executors.insert(key.clone(), executor);
            match container {
                Some(Found { pid, ended: None, .. }) => self.await_executor(&key, pid),
                Some(Found { ended: Some(how), .. }) => self.executor_ended(now, &key, &how),
                None => {
                    let how = "the agent restarted and the executor's container is gone";
                    self.executor_ended(now, &key, &Termination::Lost(how.to_owned()));
                }
            }
        }
    }

    /// An executor that runs has a while to subscribe again.
    fn await_executor(&mut self, key: &ExecutorKey, pid: Option<u32>) {
        let needed = self.needed(key);
        let Some(executor) = self.executors.get_mut(key) else { return };
        executor.phase = Phase::Running;
        executor.pid = pid;
        // Whether a change of it was carried out is not known.
        executor.given = needed;
        executor.giving = Some(needed);
        let container = executor.container.clone();
        tracing::info!(executor = key.executor, container, "adopted");
        self.io.outbox.now(Output::Watch { container: container.clone() });
        self.io.outbox.now(Output::Update { container: container.clone(), resources: needed });
        if executor.is_default() {
            let waiting = self.tasks.values().filter(|task| {
                task.host() == Some(container.as_str())
                    && task.status.state() == TaskState::TaskStaging
            });
            executor.queue.extend(waiting.map(Task::key));
            return;
        }
        let patience = &self.io.settings.patience;
        let (reason, after) = if executor.known {
            (Reason::ExecutorReregistrationTimeout, patience.reregistration)
        } else {
            // It may have been started just before.
            (Reason::ExecutorRegistrationTimeout, patience.registration)
        };
        if executor.ending.is_some() && !executor.known {
            return self.kill_host(key);
        }
        executor.awaited = Some(reason);
        self.io.outbox.now(Output::Timer { after, timer: Timer::Subscription { container } });
    }
}

fn from_row(row: ExecutorRow) -> Executor {
    // The row was accepted once; what it then held is what it holds.
    let resources = task::sum(&row.info.resources).unwrap_or_default();
    Executor {
        given: spec::promised(&row.info.resources),
        framework: row.framework,
        agent_id: row.agent_id,
        info: row.info,
        container: row.container_id,
        resources,
        phase: Phase::Launching,
        pid: None,
        subscription: None,
        known: row.known,
        awaited: None,
        ending: row.ending,
        giving: None,
        queue: std::collections::BTreeSet::new(),
    }
}
