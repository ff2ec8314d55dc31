//! `cargo xtask setup`: finds out what the machine lacks for a purpose and installs it.
//!
//! A survey only looks. When nothing is missing, that is all there is, and takes a fraction of
//! a second.

mod apt;
mod linker;
mod programs;
mod toolchain;

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, bail};
use muster_harness::bpffs;
use nix::unistd::geteuid;

use crate::run;
use crate::ui::{Step, Ui};
use linker::Linker;
use programs::Tool;
pub(crate) use programs::find;
use toolchain::Toolchain;

/// What the machine is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building the binary with its eBPF object.
    Build,
    /// Running clusters in network namespaces, and making images.
    Cluster,
    /// Running an agent outside the harness.
    Agent,
    /// Running the tests.
    Test,
    /// Checking the sources.
    Lint,
    /// Measuring against other load balancers.
    Bench,
    /// Measuring against other container runtimes.
    Launch,
    /// Fuzzing for long.
    Fuzz,
    /// Running the tests under another kernel.
    Kernel,
}

impl Purpose {
    /// Everything.
    pub(crate) const ALL: [Self; 9] = [
        Self::Build,
        Self::Cluster,
        Self::Agent,
        Self::Test,
        Self::Lint,
        Self::Bench,
        Self::Launch,
        Self::Fuzz,
        Self::Kernel,
    ];
}

/// What is missing.
#[derive(Debug, Default)]
struct Missing {
    packages: BTreeSet<String>,
    /// apt's lists: there are none, or they would tell of a compiler that is no longer the one
    /// that is installed.
    lists: bool,
    /// The linker must be built, for this major version of LLVM.
    linker: Option<Linker>,
    tools: Vec<&'static Tool>,
    /// Parts of the Rust toolchain that rustup has.
    components: Vec<&'static str>,
    bpffs: bool,
}

/// Installs what is missing for `purposes`; true when there was something to do.
///
/// Without root, what needs root is an error that says the one command to run; the rest is
/// installed.
pub(crate) fn ensure(ui: Ui, purposes: &[Purpose]) -> Result<bool> {
    let mut missing = survey(purposes)?;
    if missing.is_empty() {
        return Ok(false);
    }
    if !geteuid().is_root() {
        if let Some(command) = missing.as_root() {
            bail!("the machine lacks what only root can give it; run:\n\n    {command}\n");
        }
    } else if missing.lists {
        ui.step("update apt's lists", apt::update)?;
        missing = Missing { lists: false, ..survey(purposes)? };
    }
    // With the compiler there, what its linker needs can be asked of it: hence the second round.
    for _ in 0..2 {
        missing.install(ui)?;
        missing = survey(purposes)?;
        if missing.is_empty() {
            return Ok(true);
        }
    }
    bail!("still missing after installing it: {missing:?}")
}

/// Brings apt's lists up to date.
pub(crate) fn update_packages(step: &Step) -> Result<()> {
    apt::update(step)
}

/// Cargo of the toolchain that builds the eBPF object.
pub(crate) fn programs_cargo() -> Result<Command> {
    let toolchains = Toolchain::all()?;
    let working = linker::working(&toolchains);
    Ok(working.context("there is no compiler and linker for the eBPF object")?.cargo())
}

fn survey(purposes: &[Purpose]) -> Result<Missing> {
    let mut missing = Missing::default();
    let wants = |purpose: Purpose| purposes.contains(&purpose);
    missing.packages.extend(programs::missing_packages(purposes));
    missing.tools.extend(programs::missing_tools(purposes));
    missing.components.extend(programs::missing_components(purposes));
    missing.lists = wants(Purpose::Cluster) && !apt::has_lists();
    missing.bpffs = (wants(Purpose::Agent) || wants(Purpose::Test)) && !bpffs::is_mounted()?;
    if wants(Purpose::Build) {
        let toolchains = Toolchain::all()?;
        let working = linker::working(&toolchains);
        if wants(Purpose::Lint) {
            missing.packages.extend(working.and_then(Toolchain::missing_clippy).map(str::to_owned));
        }
        if working.is_none() {
            let toolchain = linker::buildable(&toolchains);
            if toolchain.is_none() {
                missing.packages.extend(toolchain::PACKAGES.map(str::to_owned));
                missing.lists = true;
            }
            missing.linker = linker::to_build(toolchain);
            missing.packages.extend(missing.linker.iter().flat_map(Linker::packages));
        }
    }
    Ok(missing)
}

impl Missing {
    fn is_empty(&self) -> bool {
        self.packages.is_empty()
            && !self.lists
            && self.linker.is_none()
            && self.tools.is_empty()
            && self.components.is_empty()
            && !self.bpffs
    }

    /// The command that does what needs root, if anything does.
    fn as_root(&self) -> Option<String> {
        let mut commands = Vec::new();
        if self.lists || !self.packages.is_empty() {
            commands.push("apt-get update".to_owned());
        }
        if !self.packages.is_empty() {
            let packages = self.packages.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            commands.push(format!("apt-get install -y --no-install-recommends {packages}"));
        }
        if self.bpffs {
            commands.push(format!("mount -t bpf bpf {}", bpffs::DIRECTORY));
        }
        (!commands.is_empty()).then(|| format!("sudo sh -c '{}'", commands.join(" && ")))
    }

    fn install(&self, ui: Ui) -> Result<()> {
        if !self.packages.is_empty() {
            apt::install(ui, &self.packages)?;
        }
        if self.bpffs {
            bpffs::mount_if_missing()?;
            ui.say(format_args!("✓ mounted the BPF file system at {}", bpffs::DIRECTORY));
        }
        for component in &self.components {
            ui.step(&format!("install {component}"), |step| {
                let mut rustup = Command::new("rustup");
                rustup.args(["component", "add", component]);
                run::logged(step, "rustup", rustup)
            })
            .with_context(|| format!("cargo {component} is missing, and rustup has it not"))?;
        }
        if let Some(linker) = &self.linker {
            linker.install(ui)?;
        }
        for tool in &self.tools {
            tool.install(ui)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_root_is_one_command() {
        let packages = ["bpftool", "curl"].map(str::to_owned).into();
        let missing = Missing { packages, bpffs: true, ..Missing::default() };
        assert_eq!(
            missing.as_root().unwrap(),
            "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends bpftool \
             curl && mount -t bpf bpf /sys/fs/bpf'"
        );
        let tools = Missing { components: vec!["clippy"], ..Missing::default() };
        assert_eq!(tools.as_root(), None, "cargo installs for its user");
    }
}
