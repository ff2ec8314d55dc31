//! `max_completion_time`: how long a task may run.

use std::time::Duration;

use super::kill::Why;
use super::{Agent, Io, Output, Phase, Task, Timer};

impl Agent {
    /// The timer of a task's time to complete has ended.
    pub(super) fn overdue(&mut self, now: Duration, container: &str) {
        let Some(key) = self.containers.get(container) else { return };
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase != Phase::Running || task.kill.is_some() {
            return;
        }
        tracing::info!(task = key.task, "killing: its time to complete is over");
        let grace = task.grace(&self.io.settings);
        task.end(&mut self.io, now, grace, Why::Overdue);
    }
}

impl Task {
    /// When its command was executed, which is now unless it is known. To be saved.
    pub(super) fn begin(&mut self, now: Duration) -> Duration {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(*self.started.get_or_insert(now))
    }

    /// Sets the timer that ends a running task whose time to complete is limited. The time of an
    /// adopted task went on meanwhile.
    pub(super) fn limit_time(&self, io: &mut Io, now: Duration, began: Duration) {
        let Some(most) = &self.info.max_completion_time else { return };
        // The master lets no negative one through.
        let most = Duration::from_nanos(u64::try_from(most.nanoseconds).unwrap_or(0));
        let after = most.saturating_sub(now.saturating_sub(began));
        let timer = Timer::Completion { container: self.container.clone() };
        io.outbox.now(Output::Timer { after, timer });
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::task_status::Reason;
    use muster_api::mesos::{DurationInfo, TaskInfo, TaskState};
    use muster_containerizer::Termination;

    use super::super::Found;
    use super::super::testing::{Rig, kill_policy, kills, states, task, timers};
    use super::*;

    const MOST: Duration = Duration::from_mins(1);

    fn limited(id: &str) -> TaskInfo {
        let nanoseconds = 60_000_000_000;
        TaskInfo {
            max_completion_time: Some(DurationInfo { nanoseconds }),
            kill_policy: Some(kill_policy(7)),
            ..task(id)
        }
    }

    fn completions(outputs: &[Output]) -> Vec<(Duration, Timer)> {
        timers(outputs, |timer| matches!(timer, Timer::Completion { .. }))
    }

    #[test]
    fn a_task_whose_time_is_over_is_killed_and_has_failed() {
        for how in [Termination::Signaled(15), Termination::Exited(0)] {
            let mut rig = Rig::registered();
            let outputs = rig.run(limited("t"));
            let set = completions(&outputs);
            assert_eq!(set.len(), 1);
            assert_eq!(set[0].0, MOST);
            rig.now += MOST;
            let outputs = rig.timer(set[0].1.clone());
            let container = rig.task("t").container.clone();
            assert_eq!(kills(&outputs), [(container.as_str(), 7)]);
            rig.end("t", how);
            let status = rig.task("t").status();
            assert_eq!(status.state(), TaskState::TaskFailed);
            assert_eq!(status.reason(), Reason::MaxCompletionTimeReached);
        }
    }

    #[test]
    fn one_that_ends_or_is_killed_in_time_does_not_notice() {
        let mut rig = Rig::registered();
        let timer = completions(&rig.run(limited("done")))[0].1.clone();
        rig.end("done", Termination::Exited(0));
        assert!(rig.timer(timer).is_empty());
        assert_eq!(rig.task("done").status().state(), TaskState::TaskFinished);
        let timer = completions(&rig.run(limited("killed")))[0].1.clone();
        rig.kill("killed", None);
        assert!(rig.timer(timer).is_empty());
        rig.end("killed", Termination::Signaled(15));
        assert_eq!(rig.task("killed").status().state(), TaskState::TaskKilled);
        assert!(completions(&rig.run(task("unlimited"))).is_empty());
    }

    #[test]
    fn time_goes_on_while_no_agent_runs() {
        let mut rig = Rig::registered();
        rig.run(limited("t"));
        let found = |rig: &Rig| Found {
            id: rig.task("t").container.clone(),
            pid: Some(77),
            addresses: None,
            ended: None,
        };
        for (passed, left) in [(Duration::from_secs(40), 20), (Duration::from_secs(40), 0)] {
            rig.now += passed;
            let found = found(&rig);
            let set = completions(&rig.restart(vec![found]));
            assert_eq!(set[0].0, Duration::from_secs(left));
        }
        // The decision outlives the agent, too.
        let container = rig.task("t").container.clone();
        let outputs = rig.timer(Timer::Completion { container });
        assert_eq!(kills(&outputs).len(), 1);
        assert_eq!(states(&rig.restart(Vec::new())), []);
        let status = rig.task("t").status();
        assert_eq!(status.state(), TaskState::TaskFailed);
        assert_eq!(status.reason(), Reason::MaxCompletionTimeReached);
    }
}
