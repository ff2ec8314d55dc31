//! Checks of tasks: when to check, and what a result means.

use std::time::Duration;

use muster_api::mesos::{CheckInfo, CheckStatusInfo, HealthCheck};

use super::check::{of_check, of_health, unknown};
use super::spec::Invalid;
use super::{Finding, Probe};

/// How long a check may take when the task sets no limit (a timeout of 0).
const NO_TIMEOUT: Duration = Duration::from_hours(24);

/// When a check is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    probe: Probe,
    delay: Duration,
    interval: Duration,
    timeout: Duration,
    round: u64,
}

/// The health check of a task: decides what the results mean, as Mesos does.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    pub(crate) pace: Pace,
    statuses: Vec<u32>,
    grace: Duration,
    limit: u32,
    began: Duration,
    /// No check has succeeded, nor failed after the grace period.
    initializing: bool,
    failures: u32,
    healthy: Option<bool>,
}

/// The check of a task, of which each new result is told, as Mesos does.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    pub(crate) pace: Pace,
    unknown: CheckStatusInfo,
}

/// What follows from a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to be told.
    Same,
    /// The task is healthy, which was not known.
    Healthy,
    /// The task is not healthy, for this reason: each failure is told.
    Unhealthy(String),
    /// The same, and it has failed its checks for the last time.
    Kill {
        /// Why it is not healthy.
        reason: String,
        /// Why it is killed.
        message: String,
    },
}

impl Pace {
    /// `times` are the delay, the interval and the timeout, in seconds.
    fn new(check: &str, probe: Probe, times: [f64; 3]) -> Result<Self, Invalid> {
        let [delay, interval, timeout] = times;
        let delay = seconds(check, "delay_seconds", delay)?;
        let interval = seconds(check, "interval_seconds", interval)?;
        if interval.is_zero() {
            let field = format!("{check}.interval_seconds");
            return Err(Invalid::new(field, "is 0, must be above 0"));
        }
        let timeout = seconds(check, "timeout_seconds", timeout)?;
        let timeout = if timeout.is_zero() { NO_TIMEOUT } else { timeout };
        Ok(Self { probe, delay, interval, timeout, round: 0 })
    }

    /// The pause before the first check of a task that runs since `began`, and its number.
    pub(crate) fn first(&self, now: Duration, began: Duration) -> (Duration, u64) {
        (self.delay.saturating_sub(now.saturating_sub(began)), self.round)
    }

    /// What to do now that check number `round` is due, and how long it may take.
    pub(crate) fn due(&self, round: u64) -> Option<(Probe, Duration)> {
        (round == self.round).then(|| (self.probe.clone(), self.timeout))
    }

    /// Takes the result of check number `round`: the pause before the next one and its number,
    /// or nothing if it is not the latest.
    pub(crate) fn next(&mut self, round: u64) -> Option<(Duration, u64)> {
        let latest = round == self.round;
        self.round += u64::from(latest);
        latest.then_some((self.interval, self.round))
    }
}

fn seconds(check: &str, field: &str, value: f64) -> Result<Duration, Invalid> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        let problem = format!("is {value}, must be a number of seconds from 0 up");
        Invalid::new(format!("{check}.{field}"), problem)
    })
}

impl Checker {
    /// What `check` asks for.
    ///
    /// # Errors
    /// The field of it that makes no sense or is not supported.
    pub(crate) fn new(check: &HealthCheck) -> Result<Self, Invalid> {
        let times = [check.delay_seconds(), check.interval_seconds(), check.timeout_seconds()];
        let grace = seconds("health_check", "grace_period_seconds", check.grace_period_seconds())?;
        Ok(Self {
            pace: Pace::new("health_check", of_health(check)?, times)?,
            statuses: check.http.iter().flat_map(|http| http.statuses.clone()).collect(),
            grace,
            limit: check.consecutive_failures().max(1),
            began: Duration::ZERO,
            initializing: true,
            failures: 0,
            healthy: None,
        })
    }

    /// Checking begins, of a task that runs since `began`: what was known of its health before,
    /// and how many failures in a row have been told.
    pub(crate) fn start(&mut self, began: Duration, healthy: Option<bool>, failures: u32) {
        self.began = began;
        self.healthy = healthy;
        self.initializing = healthy.is_none();
        self.failures = failures;
    }

    /// How many checks in a row have failed, without those that do not count.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// What the result of the latest check means.
    pub(crate) fn judge(&mut self, now: Duration, result: Result<Finding, String>) -> Verdict {
        let problem = match result {
            Ok(finding) => finding.problem(&self.statuses),
            Err(reason) => Some(reason),
        };
        let Some(reason) = problem else {
            self.failures = 0;
            self.initializing = false;
            let changed = self.healthy.replace(true) != Some(true);
            return if changed { Verdict::Healthy } else { Verdict::Same };
        };
        if self.initializing && now.saturating_sub(self.began) < self.grace {
            tracing::debug!(reason, "a check failed in the grace period");
            return Verdict::Same;
        }
        self.initializing = false;
        self.failures = self.failures.saturating_add(1);
        self.healthy = Some(false);
        if self.failures < self.limit {
            return Verdict::Unhealthy(reason);
        }
        let message = match self.failures {
            1 => format!("a check failed: {reason}"),
            n => format!("{n} checks in a row failed, the last one: {reason}"),
        };
        Verdict::Kill { reason, message }
    }
}

impl Observer {
    /// What `check` asks for.
    ///
    /// # Errors
    /// The field of it that makes no sense.
    pub(crate) fn new(check: &CheckInfo) -> Result<Self, Invalid> {
        let times = [check.delay_seconds(), check.interval_seconds(), check.timeout_seconds()];
        Ok(Self { pace: Pace::new("check", of_check(check)?, times)?, unknown: unknown(check) })
    }

    /// What is to be told of a result. One that failed to be carried out, or took too long, has
    /// found nothing.
    pub(crate) fn status(&self, result: Result<Finding, String>) -> CheckStatusInfo {
        result.map_or_else(|_| self.unknown, |finding| finding.status())
    }
}

#[cfg(test)]
mod tests {
    use muster_api::mesos::health_check::{self, TcpCheckInfo};
    use muster_api::mesos::{TaskInfo, TaskState};
    use muster_containerizer::Termination;

    use super::super::testing::{Rig, kills, sent, task, timers};
    use super::super::{Family, Input, Output, Purpose, Timer};
    use super::*;

    fn tcp() -> HealthCheck {
        HealthCheck {
            r#type: Some(health_check::Type::Tcp.into()),
            tcp: Some(TcpCheckInfo { port: 31000, protocol: None }),
            delay_seconds: Some(1.0),
            interval_seconds: Some(2.0),
            timeout_seconds: Some(3.0),
            grace_period_seconds: Some(0.0),
            consecutive_failures: Some(3),
            ..Default::default()
        }
    }

    /// A rig with the running task "t", its updates acknowledged.
    fn checked(check: HealthCheck) -> (Rig, Vec<Output>) {
        let mut rig = Rig::registered();
        let outputs = rig.run(TaskInfo { health_check: Some(check), ..task("t") });
        rig.acknowledge("t");
        rig.acknowledge("t");
        (rig, outputs)
    }

    const HEALTH: Purpose = Purpose::Health;

    #[expect(clippy::unnecessary_wraps, reason = "what is fed to the agent")]
    fn found(result: Result<(), &str>) -> Result<Finding, String> {
        Ok(Finding::Connection(result.map_err(str::to_owned)))
    }

    fn next(outputs: &[Output]) -> Vec<(Duration, Timer)> {
        timers(outputs, |timer| matches!(timer, Timer::Probe { .. }))
    }

    /// Lets the next check be carried out with `result`; acknowledges what is told.
    fn probe(rig: &mut Rig, round: u64, result: Result<(), &str>) -> Vec<Output> {
        let container = rig.task("t").container_id().to_owned();
        let due = rig.timer(Timer::Probe { container: container.clone(), purpose: HEALTH, round });
        assert!(matches!(&due[..], [Output::Probe { round: r, .. }] if *r == round), "{due:?}");
        let result = found(result);
        let outputs = rig.feed(Input::Probed { container, purpose: HEALTH, round, result });
        for _ in sent(&outputs) {
            rig.acknowledge("t");
        }
        outputs
    }

    fn health(outputs: &[Output]) -> Vec<Option<bool>> {
        sent(outputs).iter().map(|status| status.healthy).collect()
    }

    #[test]
    fn checks_follow_each_other_after_the_delay_and_the_interval() {
        let (mut rig, outputs) = checked(tcp());
        let container = rig.task("t").container_id().to_owned();
        let first = Timer::Probe { container: container.clone(), purpose: HEALTH, round: 0 };
        assert_eq!(next(&outputs), [(Duration::from_secs(1), first.clone())]);
        let outputs = rig.timer(first);
        let [Output::Probe { probe, timeout, .. }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*probe, Probe::Tcp { port: 31000, family: Family::V4 });
        assert_eq!(*timeout, Duration::from_secs(3));
        let result = found(Ok(()));
        let probed =
            Input::Probed { container: container.clone(), purpose: HEALTH, round: 0, result };
        let outputs = rig.feed(probed.clone());
        let second = Timer::Probe { container, purpose: HEALTH, round: 1 };
        assert_eq!(next(&outputs), [(Duration::from_secs(2), second)]);
        assert!(rig.feed(probed).is_empty());
    }

    #[test]
    fn changes_and_failures_are_told() {
        let (mut rig, _) = checked(tcp());
        let results = [
            (Ok(()), vec![Some(true)]),
            (Ok(()), vec![]),
            (Err("refused"), vec![Some(false)]),
            (Err("refused"), vec![Some(false)]),
            (Ok(()), vec![Some(true)]),
        ];
        for (round, (result, expected)) in results.into_iter().enumerate() {
            let outputs = probe(&mut rig, round as u64, result);
            assert_eq!(health(&outputs), expected, "{round}");
            for status in sent(&outputs) {
                assert_eq!(status.state(), TaskState::TaskRunning);
                let reason = muster_api::mesos::task_status::Reason::TaskHealthCheckStatusUpdated;
                assert_eq!(status.reason(), reason);
                assert_eq!(status.container_status.unwrap().executor_pid, Some(77));
            }
        }
    }

    #[test]
    fn failures_in_a_row_kill() {
        let (mut rig, _) = checked(tcp());
        for (round, result) in
            [Err("a"), Err("b"), Ok(()), Err("c"), Err("d")].into_iter().enumerate()
        {
            assert!(kills(&probe(&mut rig, round as u64, result)).is_empty());
        }
        let outputs = probe(&mut rig, 5, Err("refused"));
        let container = rig.task("t").container_id().to_owned();
        assert_eq!(kills(&outputs), [(container.as_str(), 5)]);
        assert!(next(&outputs).is_empty());
        rig.end("t", Termination::Signaled(15));
        let status = rig.task("t").status();
        assert_eq!((status.state(), status.healthy), (TaskState::TaskKilled, Some(false)));
        let message = "Killed as unhealthy: 3 checks in a row failed, the last one: refused; \
                       Command terminated with signal Terminated";
        assert_eq!(status.message(), message);
    }

    #[test]
    fn a_limit_of_none_or_one_kills_at_the_first_failure_having_told_it() {
        for limit in [0, 1] {
            let (mut rig, _) = checked(HealthCheck { consecutive_failures: Some(limit), ..tcp() });
            let outputs = probe(&mut rig, 0, Err("refused"));
            assert_eq!(health(&outputs), [Some(false)]);
            assert_eq!(kills(&outputs).len(), 1);
        }
    }

    #[test]
    fn failures_in_the_grace_period_do_not_count_until_the_first_success() {
        let check = HealthCheck { grace_period_seconds: Some(10.0), ..tcp() };
        let (mut rig, _) = checked(check.clone());
        for round in 0..5 {
            assert!(health(&probe(&mut rig, round, Err("refused"))).is_empty());
        }
        rig.now += Duration::from_secs(11);
        assert_eq!(health(&probe(&mut rig, 5, Err("refused"))), [Some(false)]);
        // A success ends the grace period early.
        let (mut rig, _) = checked(check);
        probe(&mut rig, 0, Ok(()));
        assert_eq!(health(&probe(&mut rig, 1, Err("refused"))), [Some(false)]);
    }

    #[test]
    fn no_checks_after_the_end_or_a_kill() {
        let (mut rig, _) = checked(tcp());
        let container = rig.task("t").container_id().to_owned();
        rig.kill("t", None);
        assert!(
            rig.timer(Timer::Probe { container: container.clone(), purpose: HEALTH, round: 0 })
                .is_empty()
        );
        let result = Err("x".into());
        let probed =
            Input::Probed { container: container.clone(), purpose: HEALTH, round: 0, result };
        assert!(rig.feed(probed.clone()).is_empty());
        rig.end("t", Termination::Exited(0));
        assert!(rig.timer(Timer::Probe { container, purpose: HEALTH, round: 0 }).is_empty());
        assert!(rig.feed(probed).is_empty());
    }

    #[test]
    fn defaults_are_those_of_mesos() {
        let check = HealthCheck {
            r#type: Some(health_check::Type::Tcp.into()),
            tcp: Some(TcpCheckInfo { port: 1, protocol: None }),
            ..Default::default()
        };
        let checker = Checker::new(&check).unwrap();
        let Pace { delay, interval, timeout, .. } = checker.pace;
        let seconds = [delay, interval, timeout, checker.grace];
        assert_eq!(seconds.map(|duration| duration.as_secs()), [15, 10, 20, 10]);
        assert_eq!(checker.limit, 3);
        let unlimited = HealthCheck { timeout_seconds: Some(0.0), ..check };
        assert_eq!(Checker::new(&unlimited).unwrap().pace.timeout, NO_TIMEOUT);
    }

    #[test]
    fn impossible_times_are_refused_with_the_field() {
        let cases = [
            (
                HealthCheck { delay_seconds: Some(-1.0), ..tcp() },
                "health_check.delay_seconds is -1",
            ),
            (
                HealthCheck { timeout_seconds: Some(f64::NAN), ..tcp() },
                "health_check.timeout_seconds is NaN",
            ),
            (
                HealthCheck { grace_period_seconds: Some(1e300), ..tcp() },
                "health_check.grace_period_seconds",
            ),
            (
                HealthCheck { interval_seconds: Some(0.0), ..tcp() },
                "health_check.interval_seconds is 0",
            ),
        ];
        for (check, expected) in cases {
            let problem = Checker::new(&check).unwrap_err().to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
