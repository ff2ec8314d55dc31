//! What the person at the terminal sees: a spinner for each long step, or plain lines when
//! output is no terminal, or nothing but JSON.

use std::fmt::Display;
use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A terminal: spinners and ticks.
    Terminal,
    /// Lines on standard output.
    Lines,
    /// Lines on standard error; standard output is for JSON.
    Json,
}

/// Shows steps and notes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    style: Style,
}

/// A step under way.
pub(crate) struct Step {
    bar: Option<ProgressBar>,
    what: String,
}

impl Ui {
    /// Chooses how to show things; with `json`, standard output stays free for it.
    pub(crate) fn new(json: bool) -> Self {
        let style = match (json, stdout().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Terminal,
            (false, false) => Style::Lines,
        };
        Self { style }
    }

    /// Whether standard output is for JSON.
    pub(crate) fn is_json(self) -> bool {
        self.style == Style::Json
    }

    /// Shows a line.
    pub(crate) fn say(self, line: impl Display) {
        match self.style {
            Style::Terminal | Style::Lines => println!("{line}"),
            Style::Json => eprintln!("{line}"),
        }
    }

    /// Shows that `what` is under way while `work` runs, and how long it took.
    pub(crate) fn step<T>(self, what: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let step = Step { bar: self.bar(what), what: what.to_owned() };
        if step.bar.is_none() {
            self.say(format_args!("… {what}"));
        }
        let result = work(&step);
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        let seconds = start.elapsed().as_secs_f64();
        match &result {
            Ok(_) => self.say(format_args!("✓ {what} ({seconds:.1} s)")),
            Err(_) => self.say(format_args!("✗ {what} ({seconds:.1} s)")),
        }
        result
    }

    fn bar(self, what: &str) -> Option<ProgressBar> {
        if self.style != Style::Terminal {
            return None;
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}").ok()?;
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Some(bar)
    }
}

impl Step {
    /// Shows where the step is; only a terminal has room for that.
    pub(crate) fn at(&self, where_: &str) {
        if let Some(bar) = &self.bar {
            let short: String = where_.trim().chars().take(60).collect();
            bar.set_message(format!("{}: {short}", self.what));
        }
    }
}
