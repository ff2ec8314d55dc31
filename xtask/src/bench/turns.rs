//! Contestants that take turns in short rounds, in another order each time, beside a reference that is
//! measured before and after each of them.

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::client::Case;
use super::comparison::Pair;
use super::sample::Sample;
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(super) struct Turns {
    /// Rounds: in each, every contestant is measured once in each way
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1)]
    pub(super) seconds: u32,
    /// What takes turns, if not everything: then nothing else is measured; may be repeated
    #[arg(long = "case", value_enum)]
    cases: Vec<Case>,
    /// Who takes turns, if not everybody, by a part of the name in the table; may be repeated
    #[arg(long)]
    only: Vec<String>,
}

/// Who is measured.
#[derive(Clone, Copy)]
pub(super) enum Whom {
    Reference,
    /// By number.
    Contestant(usize),
}

/// What was measured in one way: by contestant, then by round.
pub(super) type Measured = (Case, Vec<Vec<Pair>>);

// === impl Turns ===

impl Turns {
    /// Whether nothing is left out.
    pub(super) fn are_all(&self) -> bool {
        self.cases.is_empty() && self.only.is_empty()
    }

    /// Those of all contestants that are wanted, by their titles.
    pub(super) fn wanted<T: Copy>(
        &self,
        all: impl IntoIterator<Item = T>,
        title: impl Fn(T) -> String,
    ) -> Result<Vec<T>> {
        let all: Vec<T> = all.into_iter().collect();
        let titles = || all.iter().map(|one| title(*one)).collect::<Vec<_>>();
        for part in &self.only {
            let is_there = titles().iter().any(|title| title.contains(part));
            ensure!(is_there, "--only {part}: none of {}", titles().join("; "));
        }
        let is_wanted = |one: &T| {
            self.only.is_empty() || self.only.iter().any(|part| title(*one).contains(part))
        };
        Ok(all.iter().copied().filter(is_wanted).collect())
    }

    /// Has so many contestants take turns in each way that is wanted. `measure` is given who, in which way, and how
    /// many were measured before in this round; `None` of a contestant who cannot do that.
    pub(super) fn take(
        &self,
        ui: Ui,
        cases: &[Case],
        contestants: usize,
        measure: impl Fn(Whom, Case, usize) -> Result<Option<Sample>>,
    ) -> Result<Vec<Measured>> {
        let is_wanted = |case: &Case| self.cases.is_empty() || self.cases.contains(case);
        let cases = cases.iter().copied().filter(is_wanted);
        let mut measured: Vec<_> = cases.map(|case| (case, vec![vec![]; contestants])).collect();
        ensure!(!measured.is_empty(), "--case: this bench does not measure that");
        let reference = |case, turn| {
            measure(Whom::Reference, case, turn)?.context("the reference cannot do that")
        };
        for round in 0..self.rounds {
            ui.step(&format!("round {} of {}", round + 1, self.rounds), |_| {
                for (case, pairs) in &mut measured {
                    let mut before = reference(*case, 0)?;
                    for turn in 0..contestants {
                        let index = (turn + round) % contestants;
                        let Some(own) = measure(Whom::Contestant(index), *case, turn)? else {
                            continue;
                        };
                        let after = reference(*case, turn + 1)?;
                        pairs[index].push(Pair { own, reference: [before, after] });
                        before = after;
                    }
                }
                Ok(())
            })?;
        }
        Ok(measured)
    }
}
