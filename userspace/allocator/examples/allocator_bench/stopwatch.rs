//! Time on the wall, and of the processor.

use std::ops::{AddAssign, Div};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Starts when it is made.
pub(crate) struct Stopwatch {
    wall: Instant,
    processor: Duration,
}

/// How long something took. Others that the machine works for add to the one, but not to the
/// other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) wall: Duration,
    /// Time for which this thread had a processor.
    pub(crate) processor: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { processor: processor(), wall: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Took {
        let wall = self.wall.elapsed();
        Took { wall, processor: processor().saturating_sub(self.processor) }
    }
}

fn processor() -> Duration {
    // Linux has had this clock since 2.6.12.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

impl AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.processor += other.processor;
    }
}

impl Div<u32> for Took {
    type Output = Self;

    fn div(self, parts: u32) -> Self {
        Self { wall: self.wall / parts, processor: self.processor / parts }
    }
}
