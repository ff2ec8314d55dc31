//! What all commands' flags have in common: Mesos' spelling, and how operators are shown them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{ArgMatches, Command};

/// Mesos' spelling of a flag, `--work_dir=/x`, as `--work-dir=/x`.
pub(crate) fn dashed(argument: OsString) -> OsString {
    let Some(text) = argument.to_str().filter(|text| text.starts_with("--")) else {
        return argument;
    };
    match text.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.replace('_', "-")).into(),
        None => text.replace('_', "-").into(),
    }
}

/// All flags of the subcommand that have a value, given or by default, by Mesos' spelling.
pub(crate) fn effective(command: &Command, matches: &ArgMatches) -> BTreeMap<String, String> {
    let Some((name, matches)) = matches.subcommand() else { return BTreeMap::new() };
    let flags = command.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
    let shown = |flag: &clap::Arg| {
        let id = flag.get_id().as_str();
        // Flags without a value have none to show.
        let raw = matches.try_get_raw(id).ok().flatten()?;
        let values: Vec<_> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        Some((id.to_owned(), values.join(",")))
    };
    flags.filter_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mesos_spelling_of_names_and_not_of_values() {
        for (given, wanted) in [
            ("--work_dir=/a_b", "--work-dir=/a_b"),
            ("--allocation_interval", "--allocation-interval"),
            ("--ip", "--ip"),
            ("a_b", "a_b"),
            ("-a_b", "-a_b"),
        ] {
            assert_eq!(dashed(given.into()), wanted);
        }
    }
}
