//! Time for the agent's logic.

use std::time::{Duration, Instant, SystemTime};

/// The time since the Unix epoch as it was known at the start, and then as time passes: it
/// never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Duration,
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { epoch, start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch + self.start.elapsed()
    }

    /// When the clock was started.
    pub(crate) fn started(&self) -> Duration {
        self.epoch
    }
}
