//! How long the phases of a case take.

use std::time::{Duration, Instant};

/// The times of each phase, over all repetitions.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    phases: Vec<Phase>,
}

/// A part of a case that is timed by itself.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: String,
    /// In the order in which they were taken, in microseconds.
    times: Vec<f64>,
    /// Whether it is a number of bytes instead.
    pub(crate) is_bytes: bool,
}

impl Watch {
    /// Does some work and notes how long it takes.
    pub(crate) fn time<T>(&mut self, phase: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.note(phase, start.elapsed());
        result
    }

    /// Notes a time that was taken already.
    pub(crate) fn note(&mut self, phase: &str, took: Duration) {
        self.add(phase, took.as_secs_f64() * 1e6, false);
    }

    /// Notes an amount of memory.
    pub(crate) fn note_bytes(&mut self, phase: &str, bytes: f64) {
        self.add(phase, bytes, true);
    }

    fn add(&mut self, phase: &str, value: f64, is_bytes: bool) {
        if let Some(known) = self.phases.iter_mut().find(|known| known.name == phase) {
            known.times.push(value);
        } else {
            self.phases.push(Phase { name: phase.to_owned(), times: vec![value], is_bytes });
        }
    }

    pub(crate) fn phases(&self) -> &[Phase] {
        &self.phases
    }
}

impl Phase {
    /// What the machine does besides only ever adds to it.
    pub(crate) fn least(&self) -> f64 {
        self.times.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
    }

    pub(crate) fn unit(&self) -> &'static str {
        if self.is_bytes { "B" } else { "us" }
    }
}
