//! What the programs of the forwarded path take for a packet, in ns, by `BPF_PROG_TEST_RUN`.
//!
//! `cargo run --release -p muster-dataplane --example xdp_cost -- [--json] [--rounds N]`
//!
//! The programs and maps are those of a data plane that has just been opened. Each is run many times in a row
//! by the kernel, which tells what a run took; before and after each, a program that does nothing but to swap
//! the Ethernet addresses and transmit is run as often. The figures are the medians of all rounds, and of
//! the ratios to the mean of the two, with the quartiles.
//!
//! # What can be repeated
//!
//! The kernel does not restore the packet between runs, nor does it for live frames. A packet that is left
//! alone can be repeated as it is. One that is rewritten can be if what it becomes is handled
//! the same way: two VIPs are each other's only backend, so a packet of a flow to one becomes one
//! of a flow to the other, and back again. Each run is then a packet of a tracked flow like any other's: parsed,
//! found in the table, counted and rewritten. What goes to other machines comes one hop further each time, which
//! ends after 255.
//!
//! First packets of flows, and those that are answered by another packet, are given to the program once each.
//! As such runs are not in the processor's caches, and contain the reading of the clock, the same is done with
//! a program that drops all packets, in turns. What is shown is the difference, plus what that one takes if
//! repeated: what all figures contain.

#[path = "../measure/arguments.rs"]
mod arguments;
mod bed;
mod cases;
#[path = "../measure/config.rs"]
mod config;
#[path = "../measure/processor.rs"]
mod processor;
mod program;
mod report;
mod rounds;
#[path = "../measure/spread.rs"]
mod spread;

use std::{env, process::ExitCode};

use crate::{arguments::Arguments, bed::Bed};

type Failure = Box<dyn std::error::Error>;

/// Rounds, if nothing else is asked for.
const ROUNDS: usize = 200;

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    match Arguments::parse(given, ROUNDS).and_then(|arguments| measure(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    processor::stay_on_one()?;
    let bed = Bed::make()?;
    let mut cases = cases::all(&bed)?;
    let taken = rounds::measure(&bed, &mut cases, arguments.rounds)?;
    report::print(arguments, &cases, &taken);
    Ok(())
}
