//! Steps of the demo and how they are shown: headed lines, or one JSON object each.

use std::time::Instant;

use anyhow::{Context, Result};
use muster_harness::Error;
use serde_json::{Value, json};

use crate::ui::Ui;

/// What a step found, for people and for machines.
#[derive(Debug)]
pub(super) struct Shown {
    lines: Vec<String>,
    data: Value,
}

/// Counts and shows steps.
pub(super) struct Stage {
    ui: Ui,
    steps: usize,
    number: usize,
    begun: Instant,
}

impl Shown {
    pub(super) fn new(data: Value) -> Self {
        Self { lines: Vec::new(), data }
    }

    pub(super) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(super) fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }
}

impl Stage {
    pub(super) fn new(ui: Ui, steps: usize) -> Self {
        Self { ui, steps, number: 0, begun: Instant::now() }
    }

    pub(super) fn ui(&self) -> Ui {
        self.ui
    }

    /// Whether the last step is being played, or has been.
    pub(super) fn is_last(&self) -> bool {
        self.number == self.steps
    }

    /// Plays the next step and shows what it found, or that and why it failed.
    pub(super) fn play(&mut self, title: &str, work: impl FnOnce() -> Result<Shown>) -> Result<()> {
        self.number += 1;
        let (number, steps, start) = (self.number, self.steps, Instant::now());
        self.ui.say(format_args!("\n{number}/{steps}  {title}"));
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(shown) => {
                self.show(&json!({ "step": number, "title": title, "ok": true,
                                   "seconds": seconds, "shows": shown.data }));
                shown.lines.iter().for_each(|line| self.ui.say(format_args!("   {line}")));
                Ok(())
            }
            // A signal is no failure of the step, and is recognised by its type.
            Err(error) if matches!(error.downcast_ref(), Some(Error::Interrupted)) => Err(error),
            Err(error) => {
                self.show(&json!({ "step": number, "title": title, "ok": false,
                                   "seconds": seconds, "error": format!("{error:#}") }));
                Err(error).with_context(|| format!("step {number}, {title}"))
            }
        }
    }

    /// Shows the end: whether all went well, and how long it took.
    pub(super) fn end(&self, ok: bool) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.show(&json!({ "end": true, "ok": ok, "seconds": seconds }));
        self.ui.say(format_args!("{seconds:.0} s altogether"));
    }

    fn show(&self, object: &Value) {
        if self.ui.is_json() {
            println!("{object}");
        }
    }
}
