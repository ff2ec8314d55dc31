//! Write ahead, then act.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_store::Batch;

use super::{Output, Timer};

/// Pauses between attempts to write to a store that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

type Rows = BTreeMap<(&'static str, String), Option<Vec<u8>>>;

/// Orders what the agent does after what it has written.
///
/// Rows to write gather in memory; so do the acts that must not happen before they are
/// on disk. One batch is under way at a time, so rows of many tasks share a commit when
/// the disk is slower than the events.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    ready: Vec<Output>,
    rows: Rows,
    held: Vec<Output>,
    writing: Option<Writing>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Writing {
    rows: Rows,
    held: Vec<Output>,
}

#[derive(Debug)]
struct Failure {
    error: String,
    pause: Duration,
    paused: bool,
}

impl Outbox {
    /// Sets a row of a table.
    pub(crate) fn put(&mut self, table: &'static str, key: impl Into<String>, value: Vec<u8>) {
        self.rows.insert((table, key.into()), Some(value));
    }

    /// Deletes a row of a table.
    pub(crate) fn delete(&mut self, table: &'static str, key: impl Into<String>) {
        self.rows.insert((table, key.into()), None);
    }

    /// Does something that depends on nothing written.
    pub(crate) fn now(&mut self, output: Output) {
        self.ready.push(output);
    }

    /// Does something once all rows set so far are on disk.
    pub(crate) fn then(&mut self, output: Output) {
        self.held.push(output);
    }

    /// Does something once all rows set so far are on disk, or at once when the disk
    /// does not take them: for acts that must not wait for an operator to make room.
    pub(crate) fn then_or_now(&mut self, output: Output) {
        if self.failure.is_some() { self.ready.push(output) } else { self.held.push(output) }
    }

    /// Why the store cannot be written, if it could not be the last time.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_ref().map(|failure| failure.error.as_str())
    }

    /// How many rows are not on disk yet.
    pub(crate) fn unwritten(&self) -> usize {
        self.rows.len() + self.writing.as_ref().map_or(0, |writing| writing.rows.len())
    }

    /// The batch under way is on disk.
    pub(crate) fn written(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.ready.extend(writing.held);
        }
        self.failure = None;
    }

    /// The batch under way could not be written: it will be tried again, with what has
    /// gathered since, after a pause.
    pub(crate) fn failed(&mut self, error: String) {
        if let Some(Writing { mut rows, mut held }) = self.writing.take() {
            rows.append(&mut self.rows);
            held.append(&mut self.held);
            self.rows = rows;
            self.held = held;
        }
        let pause = self.failure.as_ref().map_or(FIRST_RETRY, |f| (f.pause * 2).min(LAST_RETRY));
        self.failure = Some(Failure { error, pause, paused: true });
        self.ready.push(Output::Timer { after: pause, timer: Timer::Persist });
    }

    /// The pause after a failure is over.
    pub(crate) fn retry(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.paused = false;
        }
    }

    /// Takes back acts that have not happened; gives back those.
    pub(crate) fn withdraw(&mut self, unwanted: impl Fn(&Output) -> bool) -> Vec<Output> {
        let mut withdrawn: Vec<Output> = Vec::new();
        if let Some(writing) = &mut self.writing {
            withdrawn.extend(writing.held.extract_if(.., |output| unwanted(output)));
        }
        withdrawn.extend(self.held.extract_if(.., |output| unwanted(output)));
        withdrawn
    }

    /// Forgets rows that have not been written; only while no batch is under way.
    pub(crate) fn forget(&mut self, unwanted: impl Fn(&'static str, &str) -> bool) {
        self.rows.retain(|(table, key), _| !unwanted(table, key));
    }

    /// What can be done now.
    pub(crate) fn take(&mut self) -> Vec<Output> {
        let paused = self.failure.as_ref().is_some_and(|failure| failure.paused);
        if self.writing.is_none() && !paused {
            if self.rows.is_empty() {
                // Nothing to write, so nothing to fail.
                self.failure = None;
                self.ready.append(&mut self.held);
            } else {
                let rows = std::mem::take(&mut self.rows);
                self.ready.push(Output::Persist(batch(&rows)));
                self.writing = Some(Writing { rows, held: std::mem::take(&mut self.held) });
            }
        }
        std::mem::take(&mut self.ready)
    }
}

fn batch(rows: &Rows) -> Batch {
    let mut batch = Batch::default();
    for ((table, key), value) in rows {
        match value {
            Some(value) => batch.put(table, key.as_str(), value.clone()),
            None => batch.delete(table, key.as_str()),
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(container: &str) -> Output {
        Output::Watch { container: container.into() }
    }

    /// A short text for each output: what was committed, watched or waited for.
    fn shown(outputs: &[Output]) -> Vec<String> {
        let one = |output: &Output| match output {
            Output::Persist(batch) => {
                let keys: Vec<_> = batch.changes().iter().map(|c| c.key.as_str()).collect();
                format!("persist {}", keys.join(" "))
            }
            Output::Watch { container } => container.clone(),
            Output::Timer { after, timer } => format!("{timer:?} in {after:?}"),
            other => format!("{other:?}"),
        };
        outputs.iter().map(one).collect()
    }

    #[test]
    fn acts_wait_for_the_rows_before_them_and_for_no_others() {
        let mut outbox = Outbox::default();
        outbox.put("t", "a", vec![1]);
        outbox.then(watch("after a"));
        outbox.now(watch("at once"));
        assert_eq!(shown(&outbox.take()), ["at once", "persist a"]);
        outbox.put("t", "b", vec![2]);
        outbox.put("t", "c", vec![3]);
        outbox.then(watch("after c"));
        assert!(outbox.take().is_empty());
        outbox.written();
        assert_eq!(shown(&outbox.take()), ["after a", "persist b c"]);
        outbox.written();
        assert_eq!(shown(&outbox.take()), ["after c"]);
        outbox.then(watch("nothing to write"));
        assert_eq!(shown(&outbox.take()), ["nothing to write"]);
    }

    #[test]
    fn a_failed_batch_is_tried_again_with_what_came_since() {
        let mut outbox = Outbox::default();
        outbox.put("t", "a", vec![1]);
        outbox.put("t", "b", vec![1]);
        outbox.then(watch("first"));
        outbox.take();
        outbox.put("t", "a", vec![2]);
        outbox.then(watch("second"));
        outbox.failed("no space".into());
        assert_eq!(outbox.failure(), Some("no space"));
        assert_eq!(shown(&outbox.take()), ["Persist in 1s"]);
        outbox.then_or_now(watch("urgent"));
        assert_eq!(shown(&outbox.take()), ["urgent"]);
        outbox.retry();
        let outputs = outbox.take();
        let Output::Persist(batch) = &outputs[0] else { panic!("{outputs:?}") };
        let rows: Vec<_> = batch.changes().iter().map(|c| (&*c.key, c.value.clone())).collect();
        assert_eq!(rows, [("a", Some(vec![2])), ("b", Some(vec![1]))]);
        outbox.failed("still no space".into());
        assert_eq!(shown(&outbox.take()), ["Persist in 2s"]);
        outbox.retry();
        outbox.take();
        outbox.written();
        assert_eq!(shown(&outbox.take()), ["first", "second"]);
        assert_eq!(outbox.failure(), None);
    }

    #[test]
    fn the_pause_after_a_failure_grows_to_half_a_minute() {
        let mut outbox = Outbox::default();
        outbox.put("t", "a", vec![1]);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            outbox.take();
            outbox.failed("no space".into());
            let Some(Output::Timer { after, .. }) = outbox.take().pop() else { panic!() };
            pauses.push(after.as_secs());
            outbox.retry();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn acts_and_rows_can_be_taken_back() {
        let mut outbox = Outbox::default();
        outbox.put("t", "a", vec![1]);
        outbox.then(watch("a"));
        outbox.take();
        outbox.put("t", "b", vec![1]);
        outbox.then(watch("b"));
        outbox.failed("no space".into());
        let gone =
            outbox.withdraw(|o| matches!(o, Output::Watch { container } if container == "a"));
        assert_eq!(shown(&gone), ["a"]);
        outbox.forget(|_, key| key == "a");
        outbox.retry();
        assert_eq!(shown(&outbox.take()), ["Persist in 1s", "persist b"]);
        outbox.written();
        assert_eq!(shown(&outbox.take()), ["b"]);
    }
}
