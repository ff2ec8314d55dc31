//! Amounts of memory on the command line, as Mesos writes them: `4096B`, `4KB`, `1GB`.

const UNITS: [(&str, usize); 4] = [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];

/// Reads an amount; a plain number is bytes.
///
/// # Errors
/// A sentence that says what is expected.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let expected = || format!("{text:?} is no amount of memory; write for example 4096B or 4KB");
    let number: usize = number.parse().map_err(|_| expected())?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    number.checked_mul(*factor).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_units() {
        for (text, bytes) in [("4096", 4096), ("4096B", 4096), ("4KB", 4096), ("1GB", 1 << 30)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "B", "-1B", "1.5KB", "1kb", "1PB", "99999999999999999999GB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
