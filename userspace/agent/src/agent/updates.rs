//! Status updates: acknowledged, or sent again.

use muster_api::TaskStateExt;
use muster_api::muster::{Acknowledge, agent_message};

use super::{Agent, Output, TaskKey};
use crate::checkpoint::{UPDATES, update_key};

impl Agent {
    /// The framework has the update with this uuid.
    pub(super) fn acknowledge(&mut self, acknowledge: &Acknowledge) {
        let (Some(framework_id), Some(task_id)) = (&acknowledge.framework_id, &acknowledge.task_id)
        else {
            tracing::warn!("an acknowledgement without framework or task id; ignored");
            return;
        };
        let key = TaskKey::new(framework_id, task_id);
        let Some(task) = self.tasks.get_mut(&key) else {
            tracing::debug!(task = key.task, "acknowledgement for a task already forgotten");
            return;
        };
        let Some((number, status)) = task.stream.acknowledge(&acknowledge.uuid) else {
            tracing::debug!(task = key.task, "acknowledgement of an update not under way");
            return;
        };
        self.io.counters.updates_acknowledged += 1;
        // It may be about to be said again.
        self.io.outbox.withdraw(|output| says(output, &acknowledge.uuid));
        if task.durable {
            self.io.outbox.delete(UPDATES, update_key(&task.container, number));
        }
        if status.state().is_terminal() {
            self.forget(&key);
        } else {
            task.send(&mut self.io);
        }
    }

    /// An update has gone without acknowledgement for its pause.
    pub(super) fn resend(&mut self, container: &str, sent: u64) {
        let Some(key) = self.containers.get(container) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        // Sent again since, or another update now: that one has its own timer.
        if task.stream.sent() == sent {
            task.send(&mut self.io);
        }
    }

    /// The master is there again: every stream starts over from its head.
    pub(super) fn resend_all(&mut self) {
        for task in self.tasks.values_mut() {
            task.stream.reset_pause();
            task.send(&mut self.io);
        }
    }
}

/// Whether `output` sends the update of this uuid.
fn says(output: &Output, uuid: &[u8]) -> bool {
    let Output::Send(message) = output else { return false };
    let Some(agent_message::Message::Update(update)) = &message.message else { return false };
    update.status.as_ref().and_then(|status| status.uuid.as_deref()) == Some(uuid)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use muster_api::mesos::TaskState;
    use muster_containerizer::Termination;

    use super::super::testing::{Rig, sent, states, task, timers};
    use super::super::{LinkEvent, Timer};
    use super::Output;
    use crate::checkpoint::{TASKS, UPDATES};

    fn resends(outputs: &[Output]) -> Vec<(Duration, Timer)> {
        timers(outputs, |timer| matches!(timer, Timer::Resend { .. }))
    }

    #[test]
    fn updates_go_out_one_by_one_in_order() {
        let mut rig = Rig::registered();
        assert_eq!(states(&rig.launch(task("t"))), [TaskState::TaskStarting]);
        let container = rig.task("t").container.clone();
        let launched = super::super::ContainerEvent::Launched { pid: 77, addresses: None };
        assert_eq!(states(&rig.container(&container, launched)), []);
        assert_eq!(states(&rig.end("t", Termination::Exited(0))), []);
        assert_eq!(rig.rows(UPDATES), 3);
        assert_eq!(states(&rig.acknowledge("t")), [TaskState::TaskRunning]);
        assert_eq!(states(&rig.acknowledge("t")), [TaskState::TaskFinished]);
        assert_eq!(states(&rig.acknowledge("t")), []);
        assert!(!rig.knows("t"));
        assert_eq!((rig.rows(TASKS), rig.rows(UPDATES)), (0, 0));
        let completed: Vec<_> = rig.agent.completed().map(|t| t.status.state()).collect();
        assert_eq!(completed, [TaskState::TaskFinished]);
    }

    #[test]
    fn an_update_is_sent_again_with_growing_pauses_until_it_is_acknowledged() {
        let mut rig = Rig::registered();
        let mut outputs = rig.launch(task("t"));
        let uuid = sent(&outputs)[0].uuid.clone().unwrap();
        for pause in [10, 20, 40, 80] {
            let [(after, timer)] = &resends(&outputs)[..] else { panic!("{outputs:?}") };
            assert_eq!(after.as_secs(), pause);
            outputs = rig.timer(timer.clone());
            assert_eq!(sent(&outputs)[0].uuid.as_ref(), Some(&uuid));
        }
        let timer = resends(&outputs)[0].1.clone();
        rig.acknowledge("t");
        assert!(rig.timer(timer).is_empty());
    }

    #[test]
    fn only_the_latest_timer_sends_again() {
        let mut rig = Rig::registered();
        let outputs = rig.launch(task("t"));
        let old = resends(&outputs)[0].1.clone();
        rig.link(LinkEvent::Disconnected { error: "gone".into() });
        assert_eq!(states(&rig.attach()), [TaskState::TaskStarting]);
        assert!(rig.timer(old).is_empty());
    }

    #[test]
    fn an_acknowledgement_of_anything_but_the_head_changes_nothing() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let running = rig.task("t").status.uuid.clone().unwrap();
        for uuid in [running, Vec::new(), vec![7; 16]] {
            assert!(rig.acknowledge_uuid("t", uuid.clone()).is_empty());
            assert!(rig.acknowledge_uuid("unknown", uuid).is_empty());
        }
        assert_eq!(rig.task("t").unacknowledged(), 2);
        assert_eq!(rig.rows(UPDATES), 2);
    }

    #[test]
    fn nothing_is_sent_while_the_master_is_away_and_heads_when_it_is_back() {
        let mut rig = Rig::registered();
        rig.run(task("a"));
        rig.run(task("b"));
        rig.acknowledge("b");
        rig.acknowledge("b");
        rig.link(LinkEvent::Disconnected { error: "gone".into() });
        assert_eq!(sent(&rig.end("a", Termination::Exited(0))), []);
        assert_eq!(sent(&rig.end("b", Termination::Exited(1))), []);
        let outputs = rig.attach();
        assert_eq!(states(&outputs), [TaskState::TaskStarting, TaskState::TaskFailed]);
        assert!(resends(&outputs).iter().all(|(after, _)| after.as_secs() == 10));
    }
}
