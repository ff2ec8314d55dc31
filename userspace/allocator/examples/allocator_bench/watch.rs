//! How long the phases of a case take.

use crate::stopwatch::{Stopwatch, Took};

/// What is measured of each phase, over all repetitions.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    phases: Vec<Phase>,
}

/// A part of a case that is measured by itself.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: String,
    /// Microseconds on the wall; or bytes.
    values: Vec<f64>,
    /// Microseconds of the processor, if it is times.
    processor: Vec<f64>,
}

impl Watch {
    /// Does some work and notes how long it takes.
    pub(crate) fn time<T>(&mut self, phase: &str, work: impl FnOnce() -> T) -> T {
        let start = Stopwatch::start();
        let result = work();
        self.note(phase, start.elapsed());
        result
    }

    /// Notes a time that was taken already.
    pub(crate) fn note(&mut self, phase: &str, took: Took) {
        let phase = self.phase(phase);
        phase.values.push(took.wall.as_secs_f64() * 1e6);
        phase.processor.push(took.processor.as_secs_f64() * 1e6);
    }

    /// Notes an amount of memory.
    pub(crate) fn note_bytes(&mut self, phase: &str, bytes: f64) {
        self.phase(phase).values.push(bytes);
    }

    fn phase(&mut self, name: &str) -> &mut Phase {
        let known = self.phases.iter().position(|phase| phase.name == name);
        let index = known.unwrap_or_else(|| {
            let (values, processor) = (Vec::new(), Vec::new());
            self.phases.push(Phase { name: name.to_owned(), values, processor });
            self.phases.len() - 1
        });
        &mut self.phases[index]
    }

    pub(crate) fn phases(&self) -> &[Phase] {
        &self.phases
    }
}

impl Phase {
    pub(crate) fn median(&self) -> f64 {
        median(&self.values)
    }

    pub(crate) fn least(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Median of the processor's time, unless it is bytes.
    pub(crate) fn processor(&self) -> Option<f64> {
        (!self.processor.is_empty()).then(|| median(&self.processor))
    }

    pub(crate) fn unit(&self) -> &'static str {
        if self.processor.is_empty() { "B" } else { "us" }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
}
