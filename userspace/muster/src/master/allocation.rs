//! Flags about how resources are offered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgAction, Args, ValueEnum};
use muster_allocator::{ConstraintLimits, SorterKind};
use muster_api::mesos::DomainInfo;
use muster_master::core::Options;
use muster_resources::{Name, Quantities, role};

use crate::{bytes, duration};

/// Flags about how resources are offered: Mesos' names and meanings.
#[derive(Debug, Args)]
pub(crate) struct AllocationFlags {
    /// Time between allocations that no event asks for.
    #[arg(long, env = "MUSTER_ALLOCATION_INTERVAL", default_value = "1secs", value_parser = duration::positive)]
    allocation_interval: Duration,
    /// Order in which roles are offered to.
    #[arg(long, env = "MUSTER_ROLE_SORTER", value_enum, default_value_t = Sorter::Drf)]
    role_sorter: Sorter,
    /// Order in which the frameworks of a role are offered to.
    #[arg(long, env = "MUSTER_FRAMEWORK_SORTER", value_enum, default_value_t = Sorter::Drf)]
    framework_sorter: Sorter,
    /// Names of resources that do not count for shares, with commas between them: "gpus".
    #[arg(long, env = "MUSTER_FAIR_SHARING_EXCLUDED_RESOURCE_NAMES", value_delimiter = ',')]
    fair_sharing_excluded_resource_names: Vec<String>,
    /// The least that is worth offering: amounts with semicolons between them, or others
    /// behind a bar.
    #[arg(long, env = "MUSTER_MIN_ALLOCATABLE_RESOURCES", default_value = "cpus:0.01|mem:32")]
    min_allocatable_resources: String,
    /// Offers agents with GPUs only to frameworks that know GPUs.
    #[arg(long, env = "MUSTER_FILTER_GPU_RESOURCES", default_value_t = true, action = ArgAction::Set)]
    filter_gpu_resources: bool,
    /// Roles that there may be, with commas between them; any by default.
    #[arg(long, env = "MUSTER_ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// File with the names of the machines that may be offered, one a line; all by default. It
    /// is read again every five seconds.
    #[arg(long, env = "MUSTER_WHITELIST")]
    whitelist: Option<PathBuf>,
    /// Rescinds offers that are not answered for so long; never by default.
    #[arg(long, env = "MUSTER_OFFER_TIMEOUT", value_parser = duration::positive)]
    offer_timeout: Option<Duration>,
    /// Part of the known agents that has to be back before a new master offers anything, if
    /// there is quota.
    #[arg(long, env = "MUSTER_ALLOCATOR_AGENT_RECOVERY_FACTOR", default_value_t = 0.8)]
    allocator_agent_recovery_factor: f64,
    /// Longest wait for them.
    #[arg(long, env = "MUSTER_ALLOCATOR_RECOVERY_TIMEOUT", default_value = "10mins", value_parser = duration::parse)]
    allocator_recovery_timeout: Duration,
    /// Region and zone of the master: Mesos' `DomainInfo` as JSON, or the name of a file that
    /// has it.
    #[arg(long, env = "MUSTER_DOMAIN")]
    domain: Option<String>,
    /// Most memory for a regular expression in offer constraints.
    #[arg(long, env = "MUSTER_OFFER_CONSTRAINTS_RE2_MAX_MEM", default_value = "4096B", value_parser = bytes::parse)]
    offer_constraints_re2_max_mem: u64,
    /// Most states of a regular expression in offer constraints.
    #[arg(long, env = "MUSTER_OFFER_CONSTRAINTS_RE2_MAX_PROGRAM_SIZE", default_value_t = 100)]
    offer_constraints_re2_max_program_size: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sorter {
    /// By dominant share.
    Drf,
    /// By chance, in proportion to weights.
    Random,
}

impl From<Sorter> for SorterKind {
    fn from(sorter: Sorter) -> Self {
        match sorter {
            Sorter::Drf => Self::Drf,
            Sorter::Random => Self::Random,
        }
    }
}

impl AllocationFlags {
    /// The file of [`muster_master::whitelist`], also when it is given as Mesos' `file://`.
    pub(crate) fn whitelist(&self) -> Option<PathBuf> {
        let path = self.whitelist.as_ref()?;
        let plain = path.to_str().and_then(|path| path.strip_prefix("file://"));
        Some(plain.map_or_else(|| path.clone(), PathBuf::from))
    }

    /// Puts the flags into a master's options.
    pub(crate) fn apply(&self, options: &mut Options) -> anyhow::Result<()> {
        let allocator = &mut options.allocator;
        allocator.allocation_interval = self.allocation_interval;
        allocator.role_sorter = self.role_sorter.into();
        allocator.framework_sorter = self.framework_sorter.into();
        allocator.excluded =
            names(&self.fair_sharing_excluded_resource_names).map(Name::from).collect();
        allocator.min_allocatable = self
            .min_allocatable_resources
            .split('|')
            .map(Quantities::parse)
            .collect::<Result<_, _>>()
            .context("--min-allocatable-resources")?;
        allocator.filter_gpu_resources = self.filter_gpu_resources;
        let factor = self.allocator_agent_recovery_factor;
        anyhow::ensure!(
            (0.0..=1.0).contains(&factor),
            "--allocator-agent-recovery-factor: {factor} is not between 0 and 1"
        );
        allocator.recovery_factor = factor;
        allocator.recovery_timeout = self.allocator_recovery_timeout;
        let roles: BTreeSet<String> = names(&self.roles).map(str::to_owned).collect();
        for name in &roles {
            role::validate(name).context("--roles")?;
        }
        options.roles = (!roles.is_empty()).then_some(roles);
        options.offer_timeout = self.offer_timeout;
        options.domain = self.domain.as_deref().map(domain).transpose().context("--domain")?;
        options.constraint_limits = ConstraintLimits {
            max_program_size: self.offer_constraints_re2_max_program_size,
            max_mem: usize::try_from(self.offer_constraints_re2_max_mem).unwrap_or(usize::MAX),
        };
        Ok(())
    }
}

/// Names without the empty ones: Mesos takes `abc,,def`.
fn names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(|name| name.trim()).filter(|name| !name.is_empty())
}

fn domain(text: &str) -> anyhow::Result<DomainInfo> {
    let json = if text.trim_start().starts_with('{') {
        text.as_bytes().to_vec()
    } else {
        std::fs::read(text.strip_prefix("file://").unwrap_or(text)).context(text.to_owned())?
    };
    let domain: DomainInfo = muster_api::json::from_slice(&json)?;
    anyhow::ensure!(domain.fault_domain.is_some(), "fault_domain is not set");
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: AllocationFlags,
    }

    fn options(arguments: &[&str]) -> anyhow::Result<Options> {
        let command = Command::try_parse_from(["master"].iter().chain(arguments))?;
        let address = "127.0.0.1:5050".parse().unwrap();
        let mut options = Options::new("m".into(), "h".into(), address);
        command.flags.apply(&mut options)?;
        Ok(options)
    }

    #[test]
    fn without_flags_it_is_as_mesos_has_it() {
        let (given, default) = (options(&[]).unwrap(), muster_allocator::Options::default());
        assert_eq!(format!("{:?}", given.allocator), format!("{default:?}"));
        assert_eq!(given.constraint_limits, ConstraintLimits::default());
        assert_eq!((given.roles, given.domain, given.offer_timeout), (None, None, None));
    }

    #[test]
    fn flags_are_taken_over() {
        let json = r#"{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}}"#;
        let given = options(&[
            "--role-sorter=random",
            "--fair-sharing-excluded-resource-names=gpus,fpgas",
            "--min-allocatable-resources=disk:1|cpus:1;mem:32",
            "--filter-gpu-resources=false",
            "--roles=abc,,edf",
            "--offer-constraints-re2-max-mem=8KB",
            "--allocator-agent-recovery-factor=0.5",
            "--domain",
            json,
        ])
        .unwrap();
        assert_eq!(given.allocator.role_sorter, SorterKind::Random);
        assert_eq!(given.allocator.excluded.len(), 2);
        let least: Vec<String> =
            given.allocator.min_allocatable.iter().map(ToString::to_string).collect();
        assert_eq!(least, ["disk:1", "cpus:1;mem:32"]);
        assert!(!given.allocator.filter_gpu_resources);
        assert_eq!(given.roles, Some(["abc".to_owned(), "edf".to_owned()].into()));
        assert_eq!(given.constraint_limits.max_mem, 8192);
        assert_eq!(given.domain.unwrap().fault_domain.unwrap().region.name, "r");
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_the_flag() {
        for (arguments, wanted) in [
            (&["--roles=foo,.,*"][..], "--roles"),
            (&["--min-allocatable-resources=cpus"], "--min-allocatable-resources"),
            (&["--allocator-agent-recovery-factor=1.5"], "--allocator-agent-recovery-factor"),
            (&["--domain={}"], "--domain: fault_domain"),
            (&["--domain={\"fault_domain\":{}}"], "--domain: field fault_domain.region"),
            (&["--domain=/no/such/file"], "--domain: /no/such/file"),
            (&["--role-sorter=fifo"], "--role-sorter"),
        ] {
            let error = format!("{:#}", options(arguments).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
