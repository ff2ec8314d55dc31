//! Settings from the command line.

use crate::Failure;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Agents that have a data plane.
    pub(crate) agents: usize,
    /// VIPs in the view.
    pub(crate) vips: usize,
    /// Backends of each.
    pub(crate) backends: usize,
    /// Changes that are measured.
    pub(crate) rounds: usize,
}

impl Settings {
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self { agents: 100, vips: 10, backends: 10, rounds: 200 };
        while let Some(name) = given.next() {
            let (field, most) = match name.as_str() {
                "--agents" => (&mut settings.agents, 200),
                "--vips" => (&mut settings.vips, 1_000),
                "--backends" => (&mut settings.backends, 100),
                "--rounds" => (&mut settings.rounds, 1_000_000),
                other => {
                    let known = "--agents, --vips, --backends and --rounds are known";
                    return Err(format!("{other}: unknown; {known}").into());
                }
            };
            let value = given.next().unwrap_or_default();
            *field =
                value.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(
                    || format!("{name} {value:?}: must be a number from 1 to {most}"),
                )?;
        }
        Ok(settings)
    }
}
