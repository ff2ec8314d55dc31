//! The repository's own commands, as `cargo xtask NAME`.
#![forbid(unsafe_code)]

mod bench;
mod binary;
mod demo;
mod fuzz;
mod image;
mod kernel;
mod lint;
mod miri;
mod nextest;
mod run;
mod setup;
mod ui;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::setup::Purpose;
use crate::ui::Ui;

/// Muster's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing: the eBPF toolchain, and tools for demo, tests, lint and bench
    Setup,
    Demo(demo::Options),
    Test(nextest::Options),
    /// Check formatting, lints, dependencies and the habits of the house
    Lint,
    Fuzz(fuzz::Options),
    Miri(miri::Options),
    Image(image::Options),
    Bench(bench::Options),
    /// Build, then become `muster master` with these flags
    RunMaster(Flags),
    /// Build, then become `muster agent` with these flags
    RunAgent(Flags),
}

#[derive(Debug, Args)]
struct Flags {
    /// Flags, after `--`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Setup => {
            let ui = Ui::new(false);
            if !setup::ensure(ui, &Purpose::ALL)? {
                ui.say("everything is here");
            }
            Ok(())
        }
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => nextest::run(&options),
        Command::Lint => lint::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Miri(options) => miri::run(&options),
        Command::Image(options) => image::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::RunMaster(Flags { flags }) => binary::become_muster("master", &flags),
        Command::RunAgent(Flags { flags }) => binary::become_muster("agent", &flags),
    }
}
