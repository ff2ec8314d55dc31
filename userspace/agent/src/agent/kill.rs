//! A task is to end.

use std::time::Duration;

use muster_api::mesos::{KillPolicy, TaskState};
use muster_api::muster::Kill;

use super::status::News;
use super::{Agent, Io, Output, Phase, REFUSED, Task, TaskKey, Timer};
use crate::checkpoint::KillRow;

/// From SIGTERM to SIGKILL when neither the kill nor the task says how long.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// Pause before a kill that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Why a task is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its framework wants it.
    Asked,
    /// Its health checks have failed, the last one so.
    Unhealthy(String),
    /// Its time to complete is over.
    Overdue,
}

/// The grace period of `policy`, if it sets one; a negative one is none at all.
pub(crate) fn grace(policy: Option<&KillPolicy>) -> Option<Duration> {
    let nanoseconds = policy?.grace_period?.nanoseconds;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
}

impl Agent {
    /// The master asks for a task's end.
    pub(super) fn kill(&mut self, now: Duration, kill: &Kill) {
        let (Some(framework_id), Some(task_id)) = (&kill.framework_id, &kill.task_id) else {
            tracing::warn!("the master asked for a kill without framework or task id; ignored");
            return;
        };
        let key = TaskKey::new(framework_id, task_id);
        let Some(task) = self.tasks.get_mut(&key) else {
            tracing::warn!(task = key.task, "kill of an unknown task");
            // Should its launch come late, it must not start.
            if !self.refused.contains(&key) {
                self.refused.truncate(REFUSED - 1);
                self.refused.push_front(key);
            }
            return;
        };
        if task.phase == Phase::Ended {
            // The master has not heard of the end yet.
            task.send(&mut self.io);
            return;
        }
        if task.hosted() {
            return self.kill_on(now, &key, kill);
        }
        if task.inside && task.status.state() == TaskState::TaskStaging {
            return self.kill_undelivered(now, &key);
        }
        let grace =
            grace(kill.kill_policy.as_ref()).unwrap_or_else(|| task.grace(&self.io.settings));
        tracing::info!(task = key.task, ?grace, "killing: the framework asked for it");
        task.end(&mut self.io, now, grace, Why::Asked);
    }

    pub(super) fn kill_again(&mut self, container: &str) {
        let Some(key) = self.containers.get(container) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase != Phase::Ended {
            task.kill_container(&mut self.io);
        }
    }

    pub(super) fn kill_failed(&mut self, container: &str, message: &str) {
        let phase = self.by_container(container).map(|task| task.phase);
        if phase == Some(Phase::Running) {
            tracing::error!(container, message, "cannot kill; trying again");
        }
        // A container that is not launched yet will be killed as soon as it is.
        if phase.is_some_and(|phase| phase != Phase::Ended) {
            let timer = Timer::Kill { container: container.to_owned() };
            self.io.outbox.now(Output::Timer { after: RETRY, timer });
        }
    }
}

impl Task {
    /// Has the task killed, or its launch given up. The first cause stands; a later kill
    /// can only shorten the grace period.
    pub(super) fn end(&mut self, io: &mut Io, now: Duration, grace: Duration, why: Why) {
        let nanoseconds = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        match &mut self.kill {
            Some(kill) if kill.grace <= nanoseconds => {}
            Some(kill) => kill.grace = nanoseconds,
            none => {
                let during_launch = self.phase == Phase::Launching;
                let overdue = why == Why::Overdue;
                let unhealthy = match why {
                    Why::Unhealthy(reason) => Some(reason),
                    Why::Asked | Why::Overdue => None,
                };
                let given = true;
                *none =
                    Some(KillRow { grace: nanoseconds, unhealthy, during_launch, given, overdue });
                if self.tell_killing && !during_launch {
                    let status = self.tell(io, now, News::executor(TaskState::TaskKilling));
                    self.report(io, status);
                }
            }
        }
        self.save(io);
        self.kill_container(io);
    }

    /// Carries out the kill that was decided, if one was.
    pub(super) fn kill_container(&self, io: &mut Io) {
        if let Some(kill) = &self.kill {
            io.outbox.then_or_now(Output::Kill {
                container: self.container.clone(),
                grace: Duration::from_nanos(kill.grace),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::task_status::Reason;
    use muster_api::mesos::{TaskInfo, TaskState};
    use muster_api::muster::Launch;
    use muster_api::muster::master_message::Message;
    use muster_containerizer::Termination;

    use super::super::testing::{Rig, kill_policy, kills, launches, sent, states, task, timers};
    use super::super::{ContainerEvent, Found};
    use super::*;

    #[test]
    fn the_grace_period_is_the_kills_else_the_tasks_else_five_seconds() {
        let mut rig = Rig::registered();
        rig.run(task("plain"));
        rig.run(TaskInfo { kill_policy: Some(kill_policy(30)), ..task("patient") });
        rig.run(TaskInfo { kill_policy: Some(kill_policy(30)), ..task("hurried") });
        rig.run(task("negative"));
        let cases = [
            ("plain", None, 5),
            ("patient", None, 30),
            ("hurried", Some(1), 1),
            ("negative", Some(-1), 0),
        ];
        for (id, grace, expected) in cases {
            let outputs = rig.kill(id, grace);
            let container = rig.task(id).container.clone();
            assert_eq!(kills(&outputs), [(container.as_str(), expected)], "{id}");
        }
    }

    #[test]
    fn a_killed_task_ends_as_killed_however_its_command_ends() {
        for how in [Termination::Signaled(15), Termination::Exited(0), Termination::Exited(143)] {
            let mut rig = Rig::registered();
            rig.run(task("t"));
            assert_eq!(states(&rig.kill("t", None)), []);
            rig.end("t", how);
            assert_eq!(rig.task("t").status.state(), TaskState::TaskKilled);
            assert_eq!(rig.task("t").status.reason, None);
        }
    }

    #[test]
    fn a_framework_that_knows_of_it_hears_once_that_a_running_task_is_being_killed() {
        let mut rig = Rig::registered();
        let framework_id = Some("f".into());
        let launch =
            Launch { framework_id, task: Some(task("t")), tell_killing: true, ..Launch::default() };
        rig.say(Message::Launch(launch));
        rig.acknowledge("t");
        let container = rig.task("t").container.clone();
        // What it knows is remembered when the agent starts anew.
        rig.restart(vec![Found {
            id: container.clone(),
            pid: Some(77),
            addresses: None,
            ended: None,
        }]);
        rig.attach();
        rig.acknowledge("t");
        let outputs = rig.kill("t", Some(9));
        assert_eq!(states(&outputs), [TaskState::TaskKilling]);
        assert_eq!(kills(&outputs), [(container.as_str(), 9)]);
        assert_eq!(states(&rig.kill("t", Some(3))), []);
        rig.end("t", Termination::Signaled(15));
        assert_eq!(states(&rig.acknowledge("t")), [TaskState::TaskKilled]);
    }

    #[test]
    fn a_repeated_kill_is_carried_out_again_and_only_ever_shortens_the_grace_period() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        let graces = [(None, 5), (Some(60), 5), (Some(2), 2), (None, 2)];
        for (asked, expected) in graces {
            assert_eq!(kills(&rig.kill("t", asked))[0].1, expected);
        }
    }

    #[test]
    fn a_kill_during_the_launch_is_carried_out_again_should_that_succeed() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        assert_eq!(kills(&rig.kill("t", Some(3))).len(), 1);
        let container = rig.task("t").container.clone();
        let outputs =
            rig.container(&container, ContainerEvent::Launched { pid: 7, addresses: None });
        assert_eq!(kills(&outputs), [(container.as_str(), 3)]);
        assert_eq!(states(&outputs), []);
        rig.end("t", Termination::Signaled(15));
        let status = &rig.task("t").status;
        assert_eq!(status.state(), TaskState::TaskKilled);
        assert_eq!(status.reason(), Reason::TaskKilledDuringLaunch);
        assert_eq!(status.message(), "Command terminated with signal Terminated");
    }

    #[test]
    fn a_kill_during_a_launch_that_fails_is_a_kill() {
        let mut rig = Rig::registered();
        rig.launch(task("t"));
        rig.kill("t", None);
        let container = rig.task("t").container.clone();
        rig.container(&container, ContainerEvent::LaunchFailed { message: "no image".into() });
        assert_eq!(rig.task("t").status.state(), TaskState::TaskKilled);
        assert_eq!(rig.task("t").status.reason(), Reason::TaskKilledDuringLaunch);
    }

    #[test]
    fn a_launch_that_comes_after_its_kill_does_not_start() {
        let mut rig = Rig::registered();
        rig.kill("t", None);
        let outputs = rig.launch(task("t"));
        assert!(launches(&outputs).is_empty());
        let [status] = &sent(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!(status.state(), TaskState::TaskKilled);
        assert_eq!(status.reason(), Reason::TaskKilledDuringLaunch);
        // The next session knows nothing of it: the master tells all that still counts.
        rig.acknowledge("t");
        rig.link(super::super::LinkEvent::Disconnected { error: "gone".into() });
        rig.attach();
        assert_eq!(launches(&rig.launch(task("t"))).len(), 1);
    }

    #[test]
    fn kills_of_unknown_tasks_are_remembered_within_limits() {
        let mut rig = Rig::registered();
        for n in 0..REFUSED + 10 {
            rig.kill(&n.to_string(), None);
            rig.kill(&n.to_string(), None);
        }
        assert_eq!(rig.agent.refused.len(), REFUSED);
        assert_eq!(launches(&rig.launch(task(&(REFUSED + 9).to_string()))).len(), 0);
    }

    #[test]
    fn a_kill_of_an_ended_task_has_the_end_told_again() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.acknowledge("t");
        rig.acknowledge("t");
        rig.end("t", Termination::Exited(0));
        let outputs = rig.kill("t", None);
        assert_eq!(states(&outputs), [TaskState::TaskFinished]);
        assert!(kills(&outputs).is_empty());
    }

    #[test]
    fn a_kill_that_fails_is_tried_again_until_the_task_ends() {
        let mut rig = Rig::registered();
        rig.run(task("t"));
        rig.kill("t", Some(9));
        let container = rig.task("t").container.clone();
        let outputs =
            rig.container(&container, ContainerEvent::KillFailed { message: "EPERM".into() });
        let timer = Timer::Kill { container: container.clone() };
        let set = timers(&outputs, |timer| matches!(timer, Timer::Kill { .. }));
        assert_eq!(set, [(RETRY, timer.clone())]);
        assert_eq!(kills(&rig.timer(timer.clone())), [(container.as_str(), 9)]);
        rig.end("t", Termination::Signaled(9));
        assert!(rig.timer(timer).is_empty());
        let late = ContainerEvent::KillFailed { message: "no such container".into() };
        assert!(rig.container(&container, late).is_empty());
    }
}
