//! Lists of CPUs as the kernel writes them: `0-3,7`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The most numbers of a list that are believed: more than any machine has CPUs.
const MAX: u32 = 1 << 16;

/// Reads a list; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Writes a list.
pub(super) fn text(cpus: &BTreeSet<u32>) -> String {
    let mut text = String::new();
    let mut rest = cpus.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if_eq(&(last + 1)) {
            last = next;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = match last {
            last if last == first => write!(text, "{comma}{first}"),
            last => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_and_numbers() {
        assert_eq!(parse("0-2,7\n"), Some([0, 1, 2, 7].into()));
        assert_eq!(parse("\n"), Some(BTreeSet::new()));
        assert_eq!(text(&[0, 1, 2, 7, 9, 10].into()), "0-2,7,9-10");
        for none in ["x", "1-", "-1", "1-x", "0-99999999"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cpus: BTreeSet<u16>) {
            let cpus: BTreeSet<u32> = cpus.into_iter().map(|cpu| u32::from(cpu % 2000)).collect();
            prop_assert_eq!(parse(&text(&cpus)), Some(cpus));
        }
    }
}
