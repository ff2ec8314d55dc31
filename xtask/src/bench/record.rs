//! Results as JSON, one object a line.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use muster_harness::paths;
use serde::Serialize;

/// One result.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    pub(super) bench: &'a str,
    pub(super) case: &'a str,
    pub(super) subject: &'a str,
    pub(super) value: f64,
    pub(super) unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
}

/// Writes `lines` to `target/bench/NAME.jsonl`, over what an earlier run left.
pub(super) fn write(name: &str, lines: &[String]) -> Result<PathBuf> {
    let directory = paths::target().join("bench");
    fs::create_dir_all(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
    let path = directory.join(format!("{name}.jsonl"));
    let mut file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    for line in lines {
        writeln!(file, "{line}").with_context(|| format!("write {}", path.display()))?;
    }
    Ok(path)
}
