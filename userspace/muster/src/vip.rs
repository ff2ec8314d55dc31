//! `muster vip`: the VIPs of a cluster, and what became of connections to them.

mod agents;
mod find;
mod merge;
mod rows;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use agents::Agents;
use clap::{Args, Subcommand};
use muster_dataplane::Report;

use crate::task::is_broken_pipe;
use crate::{duration, table};

/// Flags of the commands about VIPs.
#[derive(Debug, Args)]
pub(crate) struct VipFlags {
    /// The agent's HTTP interface: `[http://]HOST[:PORT]`; the port is 5051 unless given. What is
    /// counted is what that agent's containers and clients did.
    #[arg(long, global = true, env = "MUSTER_AGENT_URL", default_value = "127.0.0.1")]
    agent_url: String,
    /// A master's HTTP interface: `[http://]HOST[:PORT]`; the port is 5050 unless given. All its
    /// agents are asked, and what they count is added up.
    #[arg(long, global = true)]
    master_url: Option<String>,
    /// Prints JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: VipCommand,
}

#[derive(Debug, Subcommand)]
enum VipCommand {
    /// Lists VIPs.
    #[command(visible_alias = "ls")]
    List,
    /// Shows the backends of a VIP.
    Show {
        /// The VIP: a name or its beginning (`web`), an address, each with or without `:PORT` and
        /// `/tcp` or `/udp`.
        vip: String,
    },
    /// Shows again and again what is going on, until it is interrupted.
    Watch {
        /// A VIP, as for `show`, whose backends are watched; otherwise all VIPs are.
        vip: Option<String>,
        /// How long from one look to the next.
        #[arg(long, short = 'n', default_value = "2secs", value_parser = duration::positive)]
        interval: Duration,
        /// Ends after so many looks.
        #[arg(long, short, value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
}

/// Prints what is asked for.
pub(crate) fn run(flags: &VipFlags) -> ExitCode {
    let agents = match &flags.master_url {
        Some(master) => Agents::of(master),
        None => Agents::one(&flags.agent_url),
    };
    let output = &mut io::stdout();
    let result = match &flags.command {
        VipCommand::List => list(&agents, flags.json, output),
        VipCommand::Show { vip } => show(&agents, vip, flags.json, output),
        VipCommand::Watch { vip, interval, count } => {
            let how = watch::How { vip: vip.clone(), interval: *interval, json: flags.json };
            watch::run(agents, &how, *count)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has had enough, as head has.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be listening; the exit code remains.
            let _ = writeln!(io::stderr(), "muster vip: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list(agents: &Agents, json: bool, output: &mut impl Write) -> anyhow::Result<()> {
    let report = agents.report()?;
    tell_of_skipped(&report);
    if json {
        writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        table::write(output, &rows::vips(&report.vips))?;
    }
    Ok(())
}

fn show(agents: &Agents, vip: &str, json: bool, output: &mut impl Write) -> anyhow::Result<()> {
    let found = find::found(agents.report()?.vips, vip)?;
    if json {
        writeln!(output, "{}", serde_json::to_string_pretty(&found)?)?;
        return Ok(());
    }
    for (index, vip) in found.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        writeln!(output, "{}", rows::title(vip))?;
        table::write(output, &rows::backends(vip))?;
    }
    Ok(())
}

/// A list that is not all of it should not look as if it were.
fn tell_of_skipped(report: &Report) {
    let skipped = &report.skipped;
    let reasons = skipped.full.iter().map(|(map, count)| format!("{count}: map {map} is full"));
    let others = [(skipped.failed, "could not be written"), (skipped.invalid, "not valid")];
    let others = others.iter().filter(|(count, _)| *count > 0);
    let reasons = reasons.chain(others.map(|(count, reason)| format!("{count}: {reason}")));
    let reasons: Vec<String> = reasons.collect();
    if !reasons.is_empty() {
        let reasons = reasons.join("; ");
        // Nobody may be listening.
        let _ = writeln!(
            io::stderr(),
            "muster vip: not all VIPs and backends are served as the cluster has them ({reasons}); the agent's log names them"
        );
    }
}
