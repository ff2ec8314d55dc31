//! Which tests touch the kernel, and their programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use muster_harness::{command, paths};
use serde_json::Value;

use crate::ui::Step;

/// A program of tests.
#[derive(Debug)]
pub(super) struct Suite {
    /// As it is shown.
    pub(super) name: String,
    pub(super) program: PathBuf,
}

/// Everything that was built for them.
#[derive(Debug, Default)]
pub(super) struct Suites {
    pub(super) suites: Vec<Suite>,
    /// Programs that they start.
    pub(super) examples: Vec<PathBuf>,
}

/// One test.
#[derive(Debug)]
pub(super) struct Test<'a> {
    pub(super) suite: &'a Suite,
    pub(super) name: String,
}

/// Packages and their targets.
const SUITES: &[(&str, &str)] = &[
    ("muster-packet", "muster_packet"),
    ("muster-dataplane", "kernel"),
    ("muster-containerizer", "containers"),
];

/// The suites in which a test can be whose name contains one of `filters`: all, unless each of them begins
/// with a package's name.
fn wanted(filters: &[String]) -> Vec<(&'static str, &'static str)> {
    let of = |package: &str| filters.iter().any(|filter| filter.starts_with(package));
    let named: Vec<_> = SUITES.iter().copied().filter(|(package, _)| of(package)).collect();
    let is_named = |filter: &String| named.iter().any(|(package, _)| filter.starts_with(package));
    if named.is_empty() || !filters.iter().all(is_named) { SUITES.to_vec() } else { named }
}

/// Builds the suites that `filters` may be about, and the examples beside them.
pub(super) fn build(_step: &Step, filters: &[String]) -> Result<Suites> {
    let wanted = wanted(filters);
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--no-run",
        "--profile",
        "kernel",
        "--message-format=json-render-diagnostics",
    ]);
    for (package, _) in &wanted {
        cargo.args(["--package", package]);
    }
    cargo.current_dir(paths::repository()).stderr(Stdio::inherit());
    let line = command::line(&cargo);
    let output = cargo.output().with_context(|| format!("run {line}"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("what cargo says is no text")?;
    let suites = read(&text)?;
    for (package, target) in wanted {
        let found = suites.suites.iter().any(|suite| suite.name == label(package, target));
        anyhow::ensure!(found, "cargo built no tests {target} of {package}");
    }
    Ok(suites)
}

fn read(text: &str) -> Result<Suites> {
    let mut all = Suites::default();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).context("what cargo says")?;
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else { continue };
        let target = &message["target"];
        let name = target["name"].as_str().unwrap_or_default();
        if target["kind"][0] == "example" {
            all.examples.push(program);
            continue;
        }
        let package = message["package_id"].as_str().unwrap_or_default();
        let suite = SUITES
            .iter()
            .find(|(of, target)| *target == name && package.contains(&format!("#{of}@")));
        if let Some((package, target)) = suite {
            all.suites.push(Suite { name: label(package, target), program });
        }
    }
    Ok(all)
}

fn label(package: &str, target: &str) -> String {
    let own = package.replace('-', "_") == target;
    if own { package.to_owned() } else { format!("{package}::{target}") }
}

/// The tests in `suites` whose names contain one of `filters`; all without filters.
pub(super) fn tests<'a>(suites: &'a Suites, filters: &[String]) -> Result<Vec<Test<'a>>> {
    let mut tests = Vec::new();
    for suite in &suites.suites {
        let names = list(&suite.program)?;
        let wanted = |name: &str| {
            let whole = format!("{} {name}", suite.name);
            filters.is_empty() || filters.iter().any(|filter| whole.contains(filter))
        };
        let names = names.into_iter().filter(|name| wanted(name));
        tests.extend(names.map(|name| Test { suite, name }));
    }
    Ok(tests)
}

fn list(program: &Path) -> Result<Vec<String>> {
    let text = command::output(Command::new(program).args(["--list", "--format", "terse"]))?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_filters_name_is_built() {
        let wanted = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
            wanted(&filters).into_iter().map(|(package, _)| package).collect::<Vec<_>>()
        };
        assert_eq!(wanted(&["muster-dataplane::kernel tcp"]), ["muster-dataplane"]);
        assert_eq!(wanted(&["muster-packet", "muster-dataplane"]).len(), 2);
        assert_eq!(wanted(&["limits::", "muster-dataplane"]).len(), SUITES.len());
        assert_eq!(wanted(&[]).len(), SUITES.len());
    }
}
