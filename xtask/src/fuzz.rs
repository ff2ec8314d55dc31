//! `cargo xtask fuzz [TARGET]`: libFuzzer on what `fuzz/` has, for as long as one likes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use muster_harness::{command, paths};

use crate::run;
use crate::setup::{self, Purpose};
use crate::ui::Ui;

/// What libFuzzer follows (<https://clang.llvm.org/docs/SanitizerCoverage.html>), with flags that
/// every compiler takes: edges, where they are, and what is compared. An address sanitizer would
/// take a nightly, for code that has no `unsafe`.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// An input that takes longer, in seconds, or more memory, in MB, is a fault.
const SLOW: u64 = 10;
const HUGE: u64 = 2048;

/// Fuzz what comes from outside, guided by what is covered
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A folder of fuzz/seeds; without, all of them in turn
    target: Option<String>,
    /// How long each target is fuzzed
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Try this input instead, once, and show what happens
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
}

/// Fuzzes, and fails if a fault was found.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ui = Ui::new(false);
    let all = targets()?;
    if let Some(target) = &options.target {
        ensure!(all.contains(target), "{target:?} is no target; there are {}", all.join(", "));
    }
    setup::ensure(ui, &[Purpose::Fuzz])?;
    let engine = build(ui)?;
    if let (Some(target), Some(input)) = (&options.target, &options.input) {
        let mut once = Command::new(engine);
        once.arg(input).env("MUSTER_FUZZ_TARGET", target).env("RUST_BACKTRACE", "1");
        return run::shown(once);
    }
    let mut faults = Vec::new();
    for target in options.target.as_ref().map_or(all.as_slice(), std::slice::from_ref) {
        match fuzz(ui, &engine, target, options.seconds)? {
            Outcome::Ran(figures) => ui.say(format_args!("  {figures}")),
            Outcome::Fault(fault) => {
                eprintln!("{fault}\n");
                faults.push(target.as_str());
            }
        }
    }
    ensure!(faults.is_empty(), "faults were found in {}", faults.join(", "));
    Ok(())
}

/// The names of all targets, in order.
fn targets() -> Result<Vec<String>> {
    let seeds = seeds();
    let entries = fs::read_dir(&seeds).with_context(|| seeds.display().to_string())?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn seeds() -> PathBuf {
    paths::repository().join("fuzz/seeds")
}

/// Builds the engine with all targets.
fn build(ui: Ui) -> Result<PathBuf> {
    let host = command::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let directory = paths::target().join("fuzz");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--package", "muster-fuzz", "--bin", "muster-fuzz"]);
    cargo.args(["--features", "libfuzzer", "--profile", "fuzz", "--target", host.trim()]);
    cargo.arg("--target-dir").arg(&directory).current_dir(paths::repository());
    // With a target that is named, what runs while building is left as it is.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    ui.step("build the targets (minutes at first)", |step| run::logged(step, "fuzz", cargo))?;
    Ok(directory.join(host.trim()).join("fuzz/muster-fuzz"))
}

enum Outcome {
    /// How far it came.
    Ran(String),
    /// What went wrong, and how to see it again.
    Fault(String),
}

/// Fuzzes one target. What leads further is kept for the next time, outside of the repository.
fn fuzz(ui: Ui, engine: &Path, target: &str, seconds: u64) -> Result<Outcome> {
    let corpus = paths::target().join("fuzz/corpus").join(target);
    let faults = paths::target().join("fuzz/faults").join(target);
    for directory in [&corpus, &faults] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let log = format!("fuzz-{target}");
    let mut libfuzzer = Command::new(engine);
    libfuzzer.arg(format!("-max_total_time={seconds}"));
    libfuzzer.args([format!("-timeout={SLOW}"), format!("-rss_limit_mb={HUGE}")]);
    libfuzzer.arg("-print_final_stats=1").arg(prefix(&faults)).arg(corpus);
    libfuzzer.arg(seeds().join(target)).env("MUSTER_FUZZ_TARGET", target);
    let result = ui
        .step(&format!("fuzz {target} for {seconds} s"), |step| run::logged(step, &log, libfuzzer));
    let path = paths::target().join("xtask-logs").join(log).with_extension("log");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    match (result, fault(&text)) {
        (Ok(()), _) => match figures(&text) {
            Some(figures) => Ok(Outcome::Ran(figures)),
            None => bail!("libFuzzer does not say how far it came; see {}", path.display()),
        },
        (Err(_), Some((input, why))) => Ok(Outcome::Fault(format!(
            "{target}: {why}\n  the input:     {input}\n  \
             to try again:  cargo xtask fuzz {target} --input {input}\n  \
             to keep it:    copy it to fuzz/seeds/{target}, where the tests try it too"
        ))),
        (Err(error), None) => Err(error),
    }
}

/// Where libFuzzer puts inputs that are faults.
fn prefix(directory: &Path) -> std::ffi::OsString {
    [OsStr::new("-artifact_prefix="), directory.as_os_str(), OsStr::new("/")]
        .iter()
        .copied()
        .collect()
}

/// The figures at the end: executions, what is covered of all that there is, inputs kept.
fn figures(log: &str) -> Option<String> {
    let number = |text: Option<&str>| text?.split([' ', '/']).next()?.parse::<u64>().ok();
    let after = |marker: &str, line: &str| {
        let (_, rest) = line.split_once(marker)?;
        number(Some(rest.trim_start()))
    };
    let of = |marker: &str| log.lines().rev().find_map(|line| after(marker, line));
    let (runs, edges) = (of("stat::number_of_executed_units:")?, of(" cov:")?);
    let (all, kept) = (of("INFO: Loaded 1 PC tables (")?, of(" corp:")?);
    let each_second = of("stat::average_exec_per_sec:")?;
    Some(format!(
        "{runs} executions, {each_second} a second; {edges} of {all} edges; {kept} inputs"
    ))
}

/// The file of the input that is a fault, and the first words about it.
fn fault(log: &str) -> Option<(String, String)> {
    let (_, file) = log.lines().find_map(|line| line.split_once("Test unit written to "))?;
    let lines: Vec<&str> = log.lines().collect();
    let panic = lines.iter().position(|line| line.contains(" panicked at "));
    let why = match panic {
        Some(at) => {
            lines[at..].iter().take(2).map(|line| line.trim()).collect::<Vec<_>>().join(" ")
        }
        // Too slow or too large: libFuzzer says so itself.
        None => lines.iter().find(|line| line.contains("ERROR: libFuzzer"))?.trim().to_owned(),
    };
    Some((file.trim().to_owned(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: &str = "\
INFO: Loaded 1 modules   (51963 inline 8-bit counters): 51963 [0x1, 0x2),
INFO: Loaded 1 PC tables (51963 PCs): 51963 [0x3,0x4),
#2	INITED cov: 1001 ft: 1002 corp: 1/1b exec/s: 0 rss: 27Mb
#386394	DONE   cov: 5626 ft: 21385 corp: 3185/74Kb lim: 98 exec/s: 6334 rss: 45Mb
Done 386394 runs in 61 second(s)
stat::number_of_executed_units: 386394
stat::average_exec_per_sec:     6334
";

    const FAULT: &str = "\
#2	INITED cov: 1001 ft: 1002 corp: 1/1b exec/s: 0 rss: 27Mb

thread '<unnamed>' (10056) panicked at fuzz/src/target/resource_text.rs:18:9:
assertion `left == right` failed
  left: Ok(1)
==10056== ERROR: libFuzzer: deadly signal
artifact_prefix='/faults/t/'; Test unit written to /faults/t/crash-81ad
";

    #[test]
    fn figures_are_read_from_the_end_of_the_log() {
        let figures = figures(RAN).unwrap();
        assert_eq!(figures, "386394 executions, 6334 a second; 5626 of 51963 edges; 3185 inputs");
        assert_eq!(super::figures(FAULT), None);
    }

    #[test]
    fn a_fault_has_a_file_and_a_reason() {
        let (file, why) = fault(FAULT).unwrap();
        assert_eq!(file, "/faults/t/crash-81ad");
        assert!(why.ends_with("resource_text.rs:18:9: assertion `left == right` failed"), "{why}");
        let slow = "==7== ERROR: libFuzzer: timeout after 11 seconds\n\
                    artifact_prefix='/f/'; Test unit written to /f/timeout-1\n";
        assert_eq!(fault(slow).unwrap().1, "==7== ERROR: libFuzzer: timeout after 11 seconds");
        assert_eq!(fault(RAN), None);
    }
}
