//! What is to be measured.

use std::time::Duration;

use crate::Failure;

/// How many agents and frameworks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) agents: usize,
    pub(crate) frameworks: usize,
}

const AGENTS: [usize; 6] = [1_000, 5_000, 10_000, 20_000, 30_000, 50_000];
const FRAMEWORKS: [usize; 8] = [1, 50, 100, 200, 500, 1_000, 3_000, 6_000];

/// Settings from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Only what takes little time.
    pub(crate) quick: bool,
    /// Only cases of this name.
    pub(crate) case: Option<String>,
    /// Instead of the grid.
    pub(crate) size: Option<Size>,
    /// Say what cases there are, and nothing else.
    pub(crate) list: bool,
    /// Do this one once, for its instructions to be counted, and nothing else.
    pub(crate) count: Option<String>,
}

pub(crate) const USAGE: &str =
    "[--quick] [--case NAME] [--size AGENTSxFRAMEWORKS], --list, or --count NAME";

impl Settings {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self { quick: false, case: None, size: None, list: false, count: None };
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name}: a value is missing"));
            match name.as_str() {
                "--quick" => settings.quick = true,
                "--case" => settings.case = Some(value()?),
                "--size" => settings.size = Some(Size::read(&value()?)?),
                "--list" => settings.list = true,
                "--count" => settings.count = Some(value()?),
                _ => return Err(format!("{name}: unknown; known are {USAGE}").into()),
            }
        }
        Ok(settings)
    }

    /// The sizes of the cases that have Mesos' grid of them.
    pub(crate) fn grid(&self) -> Vec<Size> {
        if let Some(size) = self.size {
            return vec![size];
        }
        let sizes = AGENTS.iter().flat_map(|agents| {
            FRAMEWORKS.iter().map(|frameworks| Size { agents: *agents, frameworks: *frameworks })
        });
        // The size of which Mesos' figures are known.
        let known = |size: &Size| (size.agents, size.frameworks) == (1_000, 1_000);
        sizes.filter(|size| !self.quick || known(size)).collect()
    }

    /// How long a variant is repeated.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(if self.quick { 500 } else { 2_000 })
    }
}

impl Size {
    fn read(text: &str) -> Result<Self, Failure> {
        let size = text.split_once('x').and_then(|(agents, frameworks)| {
            Some(Self { agents: agents.parse().ok()?, frameworks: frameworks.parse().ok()? })
        });
        let sensible = size.filter(|size| size.agents > 0 && size.frameworks > 0);
        sensible.ok_or_else(|| format!("--size {text:?}: it is like 1000x50").into())
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.agents, self.frameworks)
    }
}
