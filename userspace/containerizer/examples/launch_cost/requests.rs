//! Requests, answers, and the time one takes.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// What is asked for.
pub(crate) enum Request {
    One,
    Many { number: u64, width: usize },
    Hold { number: u64 },
}

/// How long something took, and how much of a processor.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
}

/// Answers each request of standard input by the numbers that `answer` has for it.
pub(crate) fn serve(
    mut answer: impl FnMut(Request) -> Result<Vec<u128>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut output = io::stdout().lock();
    writeln!(output, "ready")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let request = match words.as_slice() {
            ["one"] => Request::One,
            ["many", number, width] => {
                Request::Many { number: number.parse()?, width: width.parse()? }
            }
            ["hold", number] => Request::Hold { number: number.parse()? },
            _ => return Err(format!("not a request: {line}").into()),
        };
        let numbers: Vec<String> = answer(request)?.iter().map(u128::to_string).collect();
        writeln!(output, "{}", numbers.join(" "))?;
    }
    Ok(())
}

/// The clocks before something.
pub(crate) struct Watch {
    start: Instant,
    processor: Duration,
}

impl Watch {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self { processor: processor()?, start: Instant::now() })
    }

    pub(crate) fn stop(&self) -> Result<Cost, Box<dyn Error>> {
        let wall = self.start.elapsed();
        Ok(Cost { wall, processor: processor()?.saturating_sub(self.processor) })
    }
}

impl Cost {
    /// In nanoseconds.
    pub(crate) fn numbers(self) -> Vec<u128> {
        vec![self.wall.as_nanos(), self.processor.as_nanos()]
    }
}

/// Processor time of this process and of all below it that have ended.
fn processor() -> Result<Duration, Box<dyn Error>> {
    let mut sum = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        sum += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(Duration::from_micros(sum.try_into()?))
}
