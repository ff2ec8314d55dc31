//! Settings from the command line.

use crate::Failure;

/// What to measure, and how it is printed.
pub(crate) struct Arguments {
    /// One JSON object a line.
    pub(crate) json: bool,
    /// Rounds of each comparison.
    pub(crate) rounds: usize,
}

// === impl Arguments ===

impl Arguments {
    /// Of so many rounds, if nothing else is asked for.
    pub(crate) fn parse(given: Vec<String>, rounds: usize) -> Result<Self, Failure> {
        let mut arguments = Self { json: false, rounds };
        let mut given = given.into_iter();
        while let Some(name) = given.next() {
            match name.as_str() {
                "--json" => arguments.json = true,
                "--rounds" => {
                    let value = given.next().unwrap_or_default();
                    arguments.rounds =
                        value.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
                            format!("--rounds {value:?}: must be a number above 0")
                        })?;
                }
                other => {
                    return Err(format!("{other}: unknown; --json and --rounds N are known").into());
                }
            }
        }
        Ok(arguments)
    }
}
