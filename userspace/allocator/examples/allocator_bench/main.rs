//! The allocator on Mesos' own benchmark cases, and on larger ones.
//!
//! `cargo run --release -p muster-allocator --example allocator_bench -- [--quick]
//! [--case NAME] [--size AGENTSxFRAMEWORKS]`
//!
//! Each variant of a case is done several times, on a new cluster each time, with the same
//! seed: it is the same work. Of each phase the median and the least of its times on the wall
//! are written, and the median of the processor's, as one JSON object a line. `--count NAME` does one fixed piece of work once, for
//! its instructions to be counted: see `tests/instructions.rs`.
#![forbid(unsafe_code)]

mod case;
mod cluster;
mod settings;
mod stopwatch;
mod things;
mod watch;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use crate::case::{Case, Variant};
use crate::settings::Settings;
use crate::watch::Watch;

/// What went wrong, for the person at the terminal.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// A median of fewer is not one.
const FEWEST: usize = 3;
const MOST: usize = 25;

fn main() -> ExitCode {
    match Settings::read(env::args().skip(1)).and_then(|settings| measure(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allocator_bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: &Settings) -> Result<(), Failure> {
    if let Some(name) = &settings.count {
        return case::count::run(name);
    }
    if settings.list {
        for case in case::ALL {
            println!("{}", case.name);
        }
        return Ok(());
    }
    let wanted = |case: &&Case| settings.case.as_ref().is_none_or(|name| name == case.name);
    let cases: Vec<&Case> = case::ALL.iter().filter(wanted).collect();
    if cases.is_empty() {
        let names: Vec<&str> = case::ALL.iter().map(|case| case.name).collect();
        return Err(format!("--case: there are {}", names.join(", ")).into());
    }
    for case in cases {
        for variant in (case.variants)(settings) {
            let name = format!("{}/{}", case.name, variant.name);
            repeat(settings, &name, &variant).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

fn repeat(settings: &Settings, name: &str, variant: &Variant) -> Result<(), Failure> {
    let mut watch = Watch::default();
    let start = Instant::now();
    for round in 0..MOST {
        if (variant.once && round > 0) || (round >= FEWEST && start.elapsed() > settings.patience())
        {
            break;
        }
        (variant.run)(&mut watch)?;
    }
    for phase in watch.phases() {
        let record = serde_json::json!({
            "bench": "allocator",
            "case": format!("{name}/{}", phase.name),
            "subject": "muster",
            "value": phase.median(),
            "unit": phase.unit(),
            "least": phase.least(),
            "processor": phase.processor(),
        });
        println!("{record}");
    }
    Ok(())
}
