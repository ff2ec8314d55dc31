//! One stream of a container's output, into the sandbox.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use muster_containerizer::{Log, Rotation};

use super::Inner;
use crate::checkpoint::Row;
use crate::position::Position;

/// How many bytes, and for how long, may come until another place is marked by its time. What the
/// engine has forgotten of such a piece meanwhile cannot be told from what came after it.
const MARK_BYTES: u64 = 64 << 10;
const MARK_EVERY: Duration = Duration::from_millis(100);
/// How many times are remembered. An engine may give again what is in a new file when it has exchanged
/// its own: as much as came while it noticed.
const REMEMBERED: usize = 4096;

/// What is known of a container across restarts, and where it is written down.
pub(super) struct Ledger {
    inner: Arc<Inner>,
    id: String,
    row: Row,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Stdout,
    Stderr,
}

pub(super) struct Sink {
    which: Which,
    log: Log,
    /// Bytes that have come of the stream.
    come: u64,
    /// Bytes of what the engine gives that are there already.
    skip: u64,
    /// What is of this time or before is there already.
    after: Option<String>,
    /// When a place was marked.
    marked: Option<Instant>,
    /// The times of the last parts, and whether the last one was given again.
    times: VecDeque<String>,
    again: bool,
}

impl Ledger {
    pub(super) fn new(inner: Arc<Inner>, id: String, row: Row) -> Self {
        Self { inner, id, row }
    }

    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    fn position(&mut self, which: Which) -> &mut Position {
        match which {
            Which::Stdout => &mut self.row.stdout,
            Which::Stderr => &mut self.row.stderr,
        }
    }

    /// What cannot be written down is told: lines may come twice after a restart then.
    fn save(&self) {
        if let Err(error) = self.inner.checkpoints.write(&self.id, &self.row) {
            tracing::warn!(container = self.id, %error, "cannot tell how far its output is");
        }
    }
}

impl Sink {
    /// Opens the file. With `timed` the engine may have forgotten what is old: parts come with
    /// their times.
    pub(super) fn open(
        ledger: &mut Ledger,
        sandbox: &Path,
        which: Which,
        rotation: Rotation,
        timed: bool,
    ) -> io::Result<Self> {
        let name = match which {
            Which::Stdout => "stdout",
            Which::Stderr => "stderr",
        };
        // The task can put anything there, so no link is followed, and nothing but a file is
        // written to.
        let log = Log::open(File::open(sandbox)?.into(), name, rotation)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        let position = ledger.position(which);
        let come = position.settle(log.length());
        let mark = position.marked().filter(|_| timed).cloned();
        let skip = come - mark.as_ref().map_or(0, |mark| mark.bytes.min(come));
        let after = mark.map(|mark| mark.time);
        let times = after.clone().into_iter().collect();
        Ok(Self { which, log, come, skip, after, marked: None, times, again: false })
    }

    /// After what time, to the second, it is to be given; `None` is from the start.
    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Takes a part that has come at `time`.
    pub(super) fn take_at(&mut self, ledger: &mut Ledger, time: &str, part: &[u8]) {
        if self.after.as_deref().is_some_and(|after| time <= after) {
            return;
        }
        if self.is_again(time) {
            return;
        }
        // Whatever is older from here on is of a clock that was set back.
        self.after = None;
        // Nothing before it is still to come, which only a later time tells.
        let last = self.times.back().filter(|last| last.as_str() < time).cloned();
        if let Some(last) = last
            && self.skip == 0
        {
            self.mark(ledger, last);
        }
        if self.times.back().is_none_or(|last| last != time) {
            self.times.push_back(time.to_owned());
            if self.times.len() > REMEMBERED {
                self.times.pop_front();
            }
        }
        self.take(ledger, part);
    }

    /// Whether a part of this time is one that has come already. Parts of one long line share their
    /// time, so that of the last part tells nothing unless others came again before it. A time that
    /// is older and new is of a clock that was set back.
    fn is_again(&mut self, time: &str) -> bool {
        self.again = match self.times.back().map(|last| time.cmp(last)) {
            None | Some(Ordering::Greater) => false,
            Some(Ordering::Equal) => self.again,
            Some(Ordering::Less) => self.times.iter().any(|known| known == time),
        };
        self.again
    }

    fn mark(&mut self, ledger: &mut Ledger, time: String) {
        let position = ledger.position(self.which);
        let since = self.come - position.marked().map_or(0, |mark| mark.bytes.min(self.come));
        let rested = self.marked.is_none_or(|marked| marked.elapsed() >= MARK_EVERY);
        if since > 0 && (since >= MARK_BYTES || rested) {
            position.mark(time, self.come);
            ledger.save();
            self.marked = Some(Instant::now());
        }
    }

    /// Takes the next part.
    pub(super) fn take(&mut self, ledger: &mut Ledger, part: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(part.len());
        self.skip -= skipped as u64;
        let mut rest = &part[skipped..];
        while !rest.is_empty() {
            let full = self.log.is_full();
            if full {
                ledger.position(self.which).exchange(self.log.length());
                ledger.save();
            }
            let (_, most) = self.log.room(rest.len());
            if full {
                ledger.position(self.which).exchanged();
                ledger.save();
            }
            let written = self.log.write(&rest[..most]);
            if written == 0 {
                // A disk that is full must not hold up the rest.
                ledger.position(self.which).lost(most as u64);
                ledger.save();
            }
            let done = if written == 0 { most } else { written };
            self.come += done as u64;
            rest = &rest[done..];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use muster_containerizer::Logger;

    use super::super::Docker;
    use super::*;
    use crate::Config;

    const TIMES: [&str; 4] = [
        "2026-01-01T00:00:00.000000001Z",
        "2026-01-01T00:00:00.000000002Z",
        "2026-01-01T00:00:00.000000002Z",
        "2026-01-01T00:00:01.000000000Z",
    ];

    struct Place {
        top: tempfile::TempDir,
        inner: Arc<Inner>,
    }

    impl Place {
        fn new() -> Self {
            let top = tempfile::tempdir().unwrap();
            fs::create_dir(top.path().join("s")).unwrap();
            let config = Config::testing(top.path());
            Self { inner: Docker::new(config).unwrap().inner, top }
        }

        /// As another process would find it.
        fn ledger(&self) -> Ledger {
            let row = self.inner.checkpoints.read("c").unwrap();
            let row = row.unwrap_or_else(|| Row::new(self.top.path().join("s"), Logger::default()));
            Ledger::new(Arc::clone(&self.inner), "c".into(), row)
        }

        fn sink(&self, ledger: &mut Ledger, rotation: Rotation, timed: bool) -> Sink {
            let sandbox = self.top.path().join("s");
            Sink::open(ledger, &sandbox, Which::Stdout, rotation, timed).unwrap()
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.top.path().join("s").join(name)).unwrap_or_default()
        }
    }

    #[test]
    fn what_is_there_is_skipped_though_the_file_was_rotated() {
        let place = Place::new();
        let rotation = Rotation { max_bytes: 8, files: 9 };
        let all = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n";
        // It is given from its start each time, and breaks off anywhere.
        for end in 0..=all.len() {
            let mut ledger = place.ledger();
            let mut sink = place.sink(&mut ledger, rotation, false);
            for part in all.as_bytes()[..end].chunks(5) {
                sink.take(&mut ledger, part);
            }
        }
        let names = (1..10).rev().map(|n| format!("stdout.{n}")).chain(["stdout".to_owned()]);
        let there: String = names.map(|name| place.read(&name)).collect();
        assert_eq!(there, all);
        assert!(place.read("stdout").len() <= 8);
    }

    #[test]
    fn without_older_files_too() {
        let place = Place::new();
        let rotation = Rotation { max_bytes: 4, files: 0 };
        for end in 0..=9 {
            let mut ledger = place.ledger();
            let mut sink = place.sink(&mut ledger, rotation, false);
            sink.take(&mut ledger, &b"123456789"[..end]);
        }
        assert_eq!(place.read("stdout"), "9");
    }

    #[test]
    fn what_the_engine_has_forgotten_is_not_counted() {
        let place = Place::new();
        let lines = ["one\n", "two\n", "three\n", "four\n"];
        let mut ledger = place.ledger();
        let mut sink = place.sink(&mut ledger, Rotation::UNLIMITED, true);
        for (time, line) in TIMES.iter().zip(lines).take(3) {
            sink.take_at(&mut ledger, time, line.as_bytes());
        }
        // The first has gone from the engine; two has the time of three.
        let mut ledger = place.ledger();
        let mut sink = place.sink(&mut ledger, Rotation::UNLIMITED, true);
        assert_eq!(sink.after(), Some(TIMES[0]));
        for (time, line) in TIMES.iter().zip(lines).skip(1) {
            sink.take_at(&mut ledger, time, line.as_bytes());
        }
        assert_eq!(place.read("stdout"), "one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn what_the_engine_gives_again_is_dropped() {
        let place = Place::new();
        let mut ledger = place.ledger();
        let mut sink = place.sink(&mut ledger, Rotation::UNLIMITED, true);
        let time = |second: u32| format!("2026-01-01T00:00:{second:02}.000000000Z");
        for (second, part) in [(1, "a"), (2, "b"), (3, "c"), (3, "d"), (2, "b"), (3, "c"), (3, "d")]
        {
            sink.take_at(&mut ledger, &time(second), part.as_bytes());
        }
        assert_eq!(place.read("stdout"), "abcd");
        sink.take_at(&mut ledger, &time(4), b"e");
        // The clock was set back.
        for (second, part) in [(0, "f"), (5, "g")] {
            sink.take_at(&mut ledger, &time(second), part.as_bytes());
        }
        assert_eq!(place.read("stdout"), "abcdefg");
    }

    #[test]
    fn a_link_of_the_tasks_is_not_followed() {
        let place = Place::new();
        let sandbox = place.top.path().join("s");
        let (path, victim) = (sandbox.join("stdout"), place.top.path().join("victim"));
        fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let mut ledger = place.ledger();
        let mut open =
            || Sink::open(&mut ledger, &sandbox, Which::Stdout, Rotation::UNLIMITED, false);
        assert!(open().is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(open().is_err());
    }
}
