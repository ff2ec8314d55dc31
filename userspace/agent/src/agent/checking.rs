//! The checks of running tasks: carried out in their time, and told.

use std::time::Duration;

use muster_api::mesos::TaskState;
use muster_api::mesos::task_status::Reason;

use super::health::{Pace, Verdict};
use super::kill::Why;
use super::spec::Invalid;
use super::status::News;
use super::{Agent, Checker, Finding, Io, Observer, Output, Phase, Purpose, Task, Timer};

impl Agent {
    /// A check is due.
    pub(super) fn probe(&mut self, container: &str, purpose: Purpose, round: u64) {
        let Some(task) = self.by_container(container).filter(|task| task.is_checked()) else {
            return;
        };
        let Some((probe, timeout)) = task.pace(purpose).and_then(|pace| pace.due(round)) else {
            return;
        };
        let container = container.to_owned();
        self.io.outbox.now(Output::Probe { container, purpose, round, probe, timeout });
    }

    /// A check has been carried out.
    pub(super) fn probed(
        &mut self,
        now: Duration,
        container: &str,
        (purpose, round): (Purpose, u64),
        result: Result<Finding, String>,
    ) {
        let Some(key) = self.containers.get(container) else { return };
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.is_checked()) else { return };
        let Some((after, round)) = task.pace(purpose).and_then(|pace| pace.next(round)) else {
            return;
        };
        if let Err(reason) = &result {
            tracing::info!(task = key.task, ?purpose, reason, "a check came to nothing");
        }
        match purpose {
            Purpose::Health => task.judge(&mut self.io, now, result),
            Purpose::Check => task.observe(&mut self.io, now, result),
        }
        if task.is_checked() {
            let container = container.to_owned();
            let timer = Timer::Probe { container, purpose, round };
            self.io.outbox.now(Output::Timer { after, timer });
        }
    }
}

impl Task {
    /// Takes its checks from what was asked for.
    ///
    /// # Errors
    /// The field of them that makes no sense or is not supported.
    pub(super) fn set_checks(&mut self) -> Result<(), Invalid> {
        self.checker = self.info.health_check.as_ref().map(Checker::new).transpose()?;
        self.observer = self.info.check.as_ref().map(Observer::new).transpose()?;
        Ok(())
    }

    /// Begins with its checks, or goes on with them after the agent was away.
    pub(super) fn start_checks(&mut self, io: &mut Io, now: Duration, began: Duration) {
        let (healthy, failures) = (self.status.healthy, self.failures);
        if let Some(checker) = &mut self.checker {
            checker.start(began, healthy, failures);
        }
        for purpose in [Purpose::Health, Purpose::Check] {
            let Some((after, round)) = self.pace(purpose).map(|pace| pace.first(now, began)) else {
                continue;
            };
            let timer = Timer::Probe { container: self.container.clone(), purpose, round };
            io.outbox.now(Output::Timer { after, timer });
        }
    }

    fn is_checked(&self) -> bool {
        self.phase == Phase::Running && self.kill.is_none()
    }

    fn pace(&mut self, purpose: Purpose) -> Option<&mut Pace> {
        match purpose {
            Purpose::Health => self.checker.as_mut().map(|checker| &mut checker.pace),
            Purpose::Check => self.observer.as_mut().map(|observer| &mut observer.pace),
        }
    }

    fn judge(&mut self, io: &mut Io, now: Duration, result: Result<Finding, String>) {
        let Some(checker) = &mut self.checker else { return };
        let verdict = checker.judge(now, result);
        self.failures = checker.failures();
        match verdict {
            Verdict::Same => {}
            Verdict::Healthy => self.report_health(io, now, true, None),
            Verdict::Unhealthy(reason) => self.report_health(io, now, false, Some(reason)),
            Verdict::Kill { reason, message } => {
                self.report_health(io, now, false, Some(reason));
                tracing::warn!(task = self.info.task_id.value, message, "killing: unhealthy");
                let grace = self.grace(&io.settings);
                self.end(io, now, grace, Why::Unhealthy(message));
            }
        }
    }

    fn report_health(
        &mut self,
        io: &mut Io,
        now: Duration,
        healthy: bool,
        problem: Option<String>,
    ) {
        let news = News {
            healthy: Some(healthy),
            reason: Some(Reason::TaskHealthCheckStatusUpdated),
            message: problem.map(|problem| format!("Health check failed: {problem}")),
            ..News::executor(TaskState::TaskRunning)
        };
        let status = self.tell(io, now, news);
        self.report(io, status);
    }

    fn observe(&mut self, io: &mut Io, now: Duration, result: Result<Finding, String>) {
        let Some(observer) = &self.observer else { return };
        let found = observer.status(result);
        if self.status.check_status.as_ref() == Some(&found) {
            return;
        }
        let news = News {
            check: Some(found),
            reason: Some(Reason::TaskCheckStatusUpdated),
            ..News::executor(TaskState::TaskRunning)
        };
        let status = self.tell(io, now, news);
        self.report(io, status);
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::{
        CheckInfo, CheckStatusInfo, HealthCheck, TaskInfo, TaskStatus, check_info,
        check_status_info, health_check,
    };
    use muster_containerizer::Termination;

    use super::super::testing::{Rig, kills, sent, task, timers};
    use super::super::{Found, Input};
    use super::*;

    fn tcp() -> CheckInfo {
        CheckInfo {
            r#type: Some(check_info::Type::Tcp.into()),
            tcp: Some(check_info::Tcp { port: 31000 }),
            delay_seconds: Some(4.0),
            interval_seconds: Some(2.0),
            timeout_seconds: Some(3.0),
            ..CheckInfo::default()
        }
    }

    fn healthy() -> HealthCheck {
        HealthCheck {
            r#type: Some(health_check::Type::Tcp.into()),
            tcp: Some(health_check::TcpCheckInfo { port: 31000, protocol: None }),
            delay_seconds: Some(1.0),
            interval_seconds: Some(1.0),
            grace_period_seconds: Some(10.0),
            consecutive_failures: Some(3),
            ..HealthCheck::default()
        }
    }

    fn found(succeeded: Option<bool>) -> CheckStatusInfo {
        CheckStatusInfo {
            r#type: Some(check_info::Type::Tcp.into()),
            tcp: Some(check_status_info::Tcp { succeeded }),
            ..CheckStatusInfo::default()
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what is fed to the agent")]
    fn result(connected: Result<(), &str>) -> Result<Finding, String> {
        Ok(Finding::Connection(connected.map_err(str::to_owned)))
    }

    /// The statuses that a check's result leads to, acknowledged.
    fn probe(
        rig: &mut Rig,
        (purpose, round): (Purpose, u64),
        result: Result<Finding, String>,
    ) -> Vec<TaskStatus> {
        let container = rig.task("t").container_id().to_owned();
        let due = rig.timer(Timer::Probe { container: container.clone(), purpose, round });
        assert!(matches!(&due[..], [Output::Probe { .. }]), "{due:?}");
        let outputs = rig.feed(Input::Probed { container, purpose, round, result });
        let statuses = sent(&outputs);
        for _ in &statuses {
            rig.acknowledge("t");
        }
        statuses
    }

    fn running(info: TaskInfo) -> (Rig, Vec<Output>) {
        let mut rig = Rig::registered();
        let outputs = rig.run(info);
        rig.acknowledge("t");
        rig.acknowledge("t");
        (rig, outputs)
    }

    #[test]
    fn what_a_check_finds_is_told_when_it_changes() {
        let info = TaskInfo { check: Some(tcp()), ..task("t") };
        let (mut rig, outputs) = running(info);
        let [(after, _)] = &timers(&outputs, |t| matches!(t, Timer::Probe { .. }))[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!(*after, Duration::from_secs(4));
        assert_eq!(rig.task("t").status().check_status, Some(found(None)));
        let results = [
            // Nothing was known, and nothing is.
            (Err("no answer".to_owned()), None),
            (result(Ok(())), Some(Some(true))),
            (result(Ok(())), None),
            (result(Err("refused")), Some(Some(false))),
            (Err("no answer".to_owned()), Some(None)),
            (result(Ok(())), Some(Some(true))),
        ];
        for (round, (result, expected)) in results.into_iter().enumerate() {
            let statuses = probe(&mut rig, (Purpose::Check, round as u64), result);
            let told: Vec<_> = statuses.iter().filter_map(|s| s.check_status).collect();
            let expected: Vec<_> = expected.into_iter().map(found).collect();
            assert_eq!(told, expected, "{round}");
            for status in statuses {
                assert_eq!(status.state(), TaskState::TaskRunning);
                assert_eq!(status.reason(), Reason::TaskCheckStatusUpdated);
                assert_eq!(status.container_status.unwrap().executor_pid, Some(77));
            }
        }
        assert!(rig.task("t").kill.is_none());
        rig.end("t", Termination::Exited(0));
        assert_eq!(rig.task("t").status().check_status, Some(found(None)));
    }

    #[test]
    fn both_checks_of_a_task_leave_what_the_other_found() {
        let info = TaskInfo { check: Some(tcp()), health_check: Some(healthy()), ..task("t") };
        let (mut rig, _) = running(info);
        let statuses = probe(&mut rig, (Purpose::Health, 0), result(Ok(())));
        assert_eq!(statuses[0].healthy, Some(true));
        assert_eq!(statuses[0].check_status, Some(found(None)));
        let statuses = probe(&mut rig, (Purpose::Check, 0), result(Err("refused")));
        assert_eq!(statuses[0].healthy, Some(true));
        assert_eq!(statuses[0].check_status, Some(found(Some(false))));
        let statuses = probe(&mut rig, (Purpose::Health, 1), result(Err("refused")));
        assert_eq!(statuses[0].healthy, Some(false));
        assert_eq!(statuses[0].message(), "Health check failed: refused");
        assert_eq!(statuses[0].check_status, Some(found(Some(false))));
    }

    #[test]
    fn delay_grace_and_failures_go_on_where_they_were_after_a_restart() {
        let info = TaskInfo { check: Some(tcp()), health_check: Some(healthy()), ..task("t") };
        let (mut rig, _) = running(info);
        let again = |rig: &mut Rig| {
            let id = rig.task("t").container_id().to_owned();
            let outputs =
                rig.restart(vec![Found { id, pid: Some(77), addresses: None, ended: None }]);
            rig.attach();
            let probes = timers(&outputs, |t| matches!(t, Timer::Probe { .. }));
            probes.into_iter().map(|(after, _)| after.as_secs()).collect::<Vec<_>>()
        };
        rig.now += Duration::from_secs(3);
        assert_eq!(again(&mut rig), [0, 1]);
        rig.now += Duration::from_secs(8);
        assert_eq!(again(&mut rig), [0, 0]);
        // The grace period is over: it did not begin anew.
        for round in 0..2 {
            let statuses = probe(&mut rig, (Purpose::Health, round), result(Err("refused")));
            assert_eq!(statuses[0].healthy, Some(false));
        }
        again(&mut rig);
        let id = rig.task("t").container_id().to_owned();
        let timer = Timer::Probe { container: id.clone(), purpose: Purpose::Health, round: 0 };
        rig.timer(timer);
        let (purpose, result) = (Purpose::Health, result(Err("refused")));
        let outputs = rig.feed(Input::Probed { container: id, purpose, round: 0, result });
        assert_eq!(kills(&outputs).len(), 1, "the third in a row");
    }
}
