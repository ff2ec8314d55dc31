//! `muster task`: tasks of a cluster, and what they print.

mod attach;
mod client;
pub(crate) mod cluster;
mod detach;
mod exec;
mod log;
mod streams;
mod terminal;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use cluster::{Cluster, Found};

use crate::table;

/// Flags of the commands about tasks.
#[derive(Debug, Args)]
pub(crate) struct TaskFlags {
    /// The master's HTTP interface: `[http://]HOST[:PORT]`; the port is 5050 unless given.
    #[arg(long, global = true, env = "MUSTER_MASTER_URL", default_value = "127.0.0.1")]
    master_url: String,
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Lists tasks.
    Ls {
        /// Also those that have ended.
        #[arg(long)]
        all: bool,
    },
    /// Runs a command in the container of a task; its status is this one's.
    Exec {
        /// Gives the command this one's standard input.
        #[arg(long, short)]
        interactive: bool,
        /// Gives the command a terminal, which needs one here.
        #[arg(long, short)]
        tty: bool,
        /// The task's id, or its beginning.
        task: String,
        /// The program, as the task would find it, and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Shows what a task with a terminal prints, and types into that. Ctrl-p ctrl-q ends this;
    /// the task goes on. If the task ends, its status is this one's.
    Attach {
        /// Types nothing.
        #[arg(long)]
        no_stdin: bool,
        /// The task's id, or its beginning.
        task: String,
    },
    /// Prints what a task has printed.
    Log {
        /// The task's id, or its beginning.
        task: String,
        /// Which of its outputs.
        #[arg(value_enum, default_value_t = Output::Stdout)]
        output: Output,
        /// Goes on until the task has ended.
        #[arg(long, short)]
        follow: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Prints what is asked for.
pub(crate) fn run(flags: &TaskFlags) -> ExitCode {
    let cluster = Cluster::at(&flags.master_url);
    let done = |()| ExitCode::SUCCESS;
    let result = match &flags.command {
        TaskCommand::Ls { all } => list(&cluster, *all).map(done),
        TaskCommand::Exec { interactive, tty, task, command } => {
            exec::run(&cluster, task, command, *interactive, *tty)
        }
        TaskCommand::Attach { no_stdin, task } => attach::run(&cluster, task, !no_stdin),
        TaskCommand::Log { task, output, follow } => {
            log::print(&cluster, task, output.name(), *follow, &mut io::stdout().lock()).map(done)
        }
    };
    match result {
        Ok(code) => code,
        // Whoever reads has had enough, as head has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening; the exit code remains.
            let _ = writeln!(io::stderr(), "muster task: {error:#}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn list(cluster: &Cluster, all: bool) -> anyhow::Result<()> {
    let mut tasks = cluster.tasks()?;
    tasks.retain(|task| all || !task.ended);
    let rows = std::iter::once(["ID", "NAME", "HOST", "STATE"].map(str::to_owned));
    let shown = |task: Found| [task.id, task.name, task.host, task.state];
    let rows: Vec<[String; 4]> = rows.chain(tasks.into_iter().map(shown)).collect();
    table::write(&mut io::stdout().lock(), &rows)?;
    Ok(())
}
