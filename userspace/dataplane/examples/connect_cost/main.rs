//! What a VIP adds to `connect()` and to a whole TCP connection, in ns.
//!
//! `cargo run --release -p muster-dataplane --example connect_cost -- [--json] [--rounds N]`
//!
//! What is compared takes turns, in short rounds; the figures are the medians of the rounds'
//! differences, with the quartiles. Time is processor time of one thread.

#[path = "../measure/arguments.rs"]
mod arguments;
mod bed;
mod calls;
mod client;
#[path = "../measure/config.rs"]
mod config;
mod connections;
mod connects;
#[path = "../measure/processor.rs"]
mod processor;
mod report;
#[path = "../measure/spread.rs"]
mod spread;
mod view;

use std::{env, io, process::ExitCode};

use nix::time::{ClockId, clock_gettime};

use crate::{arguments::Arguments, bed::Bed};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    let done = match given.split_first() {
        Some((first, rest)) if first == client::ARGUMENT => client::run(rest),
        _ => Arguments::parse(given, 2_000).and_then(|arguments| measure(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connect_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let mut bed = Bed::make()?;
    connects::measure(arguments, &mut bed)?;
    connections::measure(arguments, &mut bed)?;
    calls::measure(arguments, &mut bed)
}

/// Processor time of this thread: what others do on the machine is not counted.
fn now_ns() -> io::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}
