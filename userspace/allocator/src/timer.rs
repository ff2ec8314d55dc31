//! How long things took.

use std::collections::VecDeque;
use std::time::Duration;

/// Times are forgotten after an hour, as Mesos' are, and when there are too many.
const WINDOW: Duration = Duration::from_hours(1);
const MOST: usize = 10_000;

/// The times that something took lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timer {
    /// When, and how long.
    times: VecDeque<(Duration, Duration)>,
}

impl Timer {
    pub(crate) fn note(&mut self, now: Duration, took: Duration) {
        while self.times.len() >= MOST
            || self.times.front().is_some_and(|(then, _)| *then + WINDOW < now)
        {
            self.times.pop_front();
        }
        self.times.push_back((now, took));
    }

    /// The last time by the name `NAME_ms`, and, if there are two at least, how they are
    /// distributed: `NAME_ms/p95` and so on; all in milliseconds.
    pub(crate) fn metrics(&self, name: &str, mut set: impl FnMut(String, f64)) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let Some((_, last)) = self.times.back() else { return };
        set(format!("{name}_ms"), milliseconds(*last));
        if self.times.len() < 2 {
            return;
        }
        let mut sorted: Vec<Duration> = self.times.iter().map(|(_, took)| *took).collect();
        sorted.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "there are few")]
        set(format!("{name}_ms/count"), sorted.len() as f64);
        for (part, permyriad) in [
            ("min", 0),
            ("p25", 2500),
            ("p50", 5000),
            ("p75", 7500),
            ("p90", 9000),
            ("p95", 9500),
            ("p99", 9900),
            ("p999", 9990),
            ("p9999", 9999),
            ("max", 10_000),
        ] {
            set(format!("{name}_ms/{part}"), milliseconds(percentile(&sorted, permyriad)));
        }
    }
}

/// The time below which so many ten-thousandths of sorted times are, between the two
/// nearest in proportion.
fn percentile(sorted: &[Duration], permyriad: u32) -> Duration {
    let position = f64::from(permyriad) / 10_000.0
        * f64::from(u32::try_from(sorted.len() - 1).unwrap_or(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let below = position as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    low + high.saturating_sub(low).mul_f64(position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(timer: &Timer) -> Vec<(String, f64)> {
        let mut all = Vec::new();
        timer.metrics("run", |name, value| all.push((name, value)));
        all
    }

    #[test]
    fn times_are_told_by_percentile() {
        let mut timer = Timer::default();
        assert!(names(&timer).is_empty());
        timer.note(Duration::ZERO, Duration::from_millis(1));
        assert_eq!(names(&timer), [("run_ms".to_owned(), 1.0)]);
        for number in 2..=101 {
            timer.note(Duration::ZERO, Duration::from_millis(number));
        }
        let all = names(&timer);
        let value = |name: &str| all.iter().find(|(other, _)| other == name).unwrap().1;
        assert!((value("run_ms/count") - 101.0).abs() < 1e-9);
        assert!((value("run_ms/min") - 1.0).abs() < 1e-9);
        assert!((value("run_ms/p50") - 51.0).abs() < 1e-9);
        assert!((value("run_ms/p95") - 96.0).abs() < 1e-9);
        assert!((value("run_ms/max") - 101.0).abs() < 1e-9);
    }

    #[test]
    fn old_times_are_forgotten() {
        let mut timer = Timer::default();
        timer.note(Duration::ZERO, Duration::from_millis(1));
        timer.note(Duration::from_hours(2), Duration::from_millis(2));
        assert_eq!(names(&timer), [("run_ms".to_owned(), 2.0)]);
    }
}
