//! `muster`: the whole data centre in one binary. This is its command line, no more.

mod address;
mod agent;
mod bytes;
mod docker;
mod duration;
mod fetching;
mod flags;
mod image;
mod images;
mod isolation;
mod logger;
mod master;
mod registries;
mod simulate;
mod table;
mod task;
mod vip;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use muster_agent::LogLevel;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The variable that says what is logged, as in `muster_agent=debug,info`.
const LOG: &str = "MUSTER_LOG";

/// A whole data centre that works like one computer.
#[derive(Debug, Parser)]
#[command(name = "muster", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a master: the kernel of the cluster, and its services.
    Master(Box<master::Flags>),
    /// Runs an agent: this machine becomes part of the cluster.
    Agent(Box<agent::Flags>),
    /// Tries out what the allocator would do, without a cluster.
    Simulate(simulate::Flags),
    /// Tasks of a cluster, and what they print.
    Task(task::TaskFlags),
    /// The image store of an agent.
    Image(image::ImageFlags),
    /// VIPs of a cluster, and what became of connections to them.
    Vip(vip::VipFlags),
    /// Starts a container; run by the agent, never by hand.
    #[command(hide = true)]
    Launch {
        /// What the agent passes on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

fn main() -> ExitCode {
    let given = std::env::args_os().map(flags::dashed);
    let command = Arguments::command();
    let matches = command.clone().get_matches_from(given);
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match &arguments.command {
        // Before any thread exists: the helper forks.
        Command::Launch { .. } => return muster_containerizer::launch::main(),
        Command::Simulate(flags) => return simulate::run(flags),
        Command::Task(flags) => return task::run(flags),
        Command::Image(flags) => return image::run(flags),
        Command::Vip(flags) => return vip::run(flags),
        Command::Master(_) | Command::Agent(_) => {}
    }
    let filter = match log_filter(std::env::var_os(LOG).as_deref()) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: {LOG}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shown = flags::effective(&command, &matches);
    let usual = filter.to_string();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    let log_level = LogLevel::new(&usual, move |directives| {
        let filter: EnvFilter =
            directives.parse().map_err(|error: ParseError| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    });
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| match arguments.command {
            Command::Master(flags) => runtime.block_on(master::run(*flags, shown)),
            Command::Agent(flags) => runtime.block_on(agent::run(*flags, log_level)),
            Command::Launch { .. }
            | Command::Simulate(_)
            | Command::Task(_)
            | Command::Image(_)
            | Command::Vip(_) => Ok(()),
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// What is logged: `info`, unless the variable [`LOG`] says otherwise.
fn log_filter(value: Option<&OsStr>) -> Result<EnvFilter, ParseError> {
    value.map_or(Cow::Borrowed("info"), OsStr::to_string_lossy).parse()
}

/// An error and its causes, without those that it has named itself already.
fn in_one_line(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |line, cause| match line.as_str() {
        "" => cause,
        _ if line.contains(&cause) => line,
        _ => format!("{line}: {cause}"),
    })
}

/// Resolves when the process is asked to end.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen for a signal; only SIGKILL will end this process");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::interrupt()) => {}
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_log_filter_that_makes_no_sense_is_refused() {
        let shown = |value: Option<&str>| log_filter(value.map(OsStr::new)).unwrap().to_string();
        assert_eq!(shown(None), "info");
        assert_eq!(shown(Some("muster_agent=debug,info")), "muster_agent=debug,info");
        assert!(log_filter(Some(OsStr::new("muster_agent=loud"))).is_err());
    }

    #[test]
    fn what_an_error_says_of_its_cause_is_not_said_twice() {
        let path = std::path::Path::new("/proc/no-such-directory/registry.redb");
        let error = muster_store::Redb::open(path).unwrap_err();
        let said = error.to_string();
        let error = anyhow::Error::from(error);
        assert!(error.chain().count() > 1);
        assert_eq!(in_one_line(&error), said);
        let outer = Err::<(), _>(error).context("serving --port").unwrap_err();
        assert_eq!(in_one_line(&outer), format!("serving --port: {said}"));
    }

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn operators_are_shown_flags_as_mesos_spells_them() {
        let given = ["muster", "master", "--roles=a,b", "--offer_timeout", "30secs"];
        let given = given.into_iter().map(|argument| flags::dashed(argument.into()));
        let command = Arguments::command();
        let matches = command.clone().try_get_matches_from(given).unwrap();
        let shown = flags::effective(&command, &matches);
        assert_eq!(shown["roles"], "a,b");
        assert_eq!(shown["offer_timeout"], "30secs");
        assert_eq!(shown["min_allocatable_resources"], "cpus:0.01|mem:32");
        assert!(!shown.contains_key("whitelist"), "{shown:?}");
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || "_2".contains(c));
        assert!(shown.keys().all(|name| is_name(name)), "{shown:?}");
    }
}
