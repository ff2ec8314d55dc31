//! Durations on the command line, as Mesos writes them: `500ms`, `15secs`, `10mins`.

use std::time::Duration;

const UNITS: [(&str, f64); 16] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("secs", 1.0),
    ("sec", 1.0),
    ("s", 1.0),
    ("mins", 60.0),
    ("min", 60.0),
    ("m", 60.0),
    ("hrs", 3600.0),
    ("hr", 3600.0),
    ("h", 3600.0),
    ("days", 86400.0),
    ("d", 86400.0),
    ("weeks", 604_800.0),
    ("w", 604_800.0),
];

/// Reads a duration.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let expected = || format!("{text:?} is no duration; write for example 500ms, 15secs or 10mins");
    let number: f64 = number.parse().map_err(|_| expected())?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| expected())
}

/// Reads a duration that must not be zero.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mesos_and_shorter_forms() {
        for (text, millis) in [
            ("500ms", 500),
            ("1secs", 1000),
            ("1.5s", 1500),
            ("10mins", 600_000),
            ("1weeks", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "5", "s", "-1s", "1 s", "1fortnight", "1.2.3s", "99999999999999999999999weeks"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn some_durations_must_not_be_zero() {
        assert_eq!(positive("1ms"), Ok(Duration::from_millis(1)));
        for text in ["0s", "0.0mins", "0.1ns", "soon"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}
