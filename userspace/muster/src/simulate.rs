//! `muster simulate`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use muster_simulate::Simulator;

/// Flags of the simulator.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// File of commands, one JSON object a line; "-" is standard input.
    file: PathBuf,
    /// Draws the shares of roles and frameworks over time into this file, as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// Answers commands on standard output until they end or one cannot be carried out, which
/// standard error says.
pub(crate) fn run(flags: &Flags) -> ExitCode {
    match simulate(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening; the exit code remains.
            let _ = writeln!(io::stderr(), "muster simulate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn simulate(flags: &Flags) -> anyhow::Result<()> {
    let name = flags.file.display();
    let simulator = Simulator::new();
    let mut simulator = if flags.plot.is_some() { simulator.recording() } else { simulator };
    if flags.file == Path::new("-") {
        answer(&mut simulator, io::stdin().lock()).context("standard input")?;
    } else {
        let file = File::open(&flags.file).with_context(|| format!("opening {name}"))?;
        answer(&mut simulator, BufReader::new(file)).with_context(|| name.to_string())?;
    }
    if let (Some(path), Some(history)) = (&flags.plot, simulator.history()) {
        let picture = muster_simulate::plot(history);
        std::fs::write(path, picture).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Each answer goes out before the next command is read: somebody may wait for it.
fn answer(simulator: &mut Simulator, commands: impl BufRead) -> anyhow::Result<()> {
    let mut answers = io::stdout().lock();
    for (index, line) in commands.lines().enumerate() {
        let line = line.with_context(|| format!("line {}", index + 1))?;
        let answer = simulator.line(&line).map_err(anyhow::Error::msg)?;
        let Some(answer) = answer else { continue };
        if let Err(error) = writeln!(answers, "{answer}").and_then(|()| answers.flush()) {
            // The reader has seen enough.
            let enough = error.kind() == io::ErrorKind::BrokenPipe;
            return if enough { Ok(()) } else { Err(error).context("writing an answer") };
        }
    }
    Ok(())
}
