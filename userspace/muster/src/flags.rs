//! What all commands' flags have in common: Mesos' spelling, and how operators are shown them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::ArgMatches;

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

/// All flags with a value, given or by default, by Mesos' spelling.
pub(crate) fn effective(matches: &ArgMatches) -> BTreeMap<String, String> {
    let values = |id: &clap::Id| {
        // Groups of flags have ids too, and no values of their own.
        let raw = matches.try_get_raw(id.as_str()).ok().flatten()?;
        let values: Vec<_> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
        Some((id.as_str().to_owned(), values.join(",")))
    };
    matches.ids().filter_map(values).collect()
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
