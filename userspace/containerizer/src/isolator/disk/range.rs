//! The project ids that an agent gives out.

use std::fmt;
use std::str::FromStr;

/// A range of project ids, both ends part of it, as Mesos writes it: `[5000-10000]`. No other
/// agent of the machine may have any of them, nor anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectRange {
    /// The first id, at least 1: 0 is what belongs to no project.
    pub first: u32,
    /// The last one.
    pub last: u32,
}

impl Default for ProjectRange {
    /// That of Mesos.
    fn default() -> Self {
        Self { first: 5000, last: 10_000 }
    }
}

impl fmt::Display for ProjectRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}-{}]", self.first, self.last)
    }
}

impl FromStr for ProjectRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no range of project ids; write for example [5000-10000]");
        let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let (first, last) = inner.and_then(|inner| inner.split_once('-')).ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first == 0 || last < first {
            return Err(format!(
                "`{text}` is no range of project ids: 1 is the least, and the first comes first"
            ));
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_mesos_writes_it() {
        let range: ProjectRange = "[5000-10000]".parse().unwrap();
        assert_eq!((range, range.to_string().as_str()), (ProjectRange::default(), "[5000-10000]"));
        assert_eq!("[7-7]".parse(), Ok(ProjectRange { first: 7, last: 7 }));
        for text in ["", "5-6", "[5]", "[6-5]", "[0-5]", "[a-b]", "[1-4294967296]", "[-1-5]"] {
            assert!(text.parse::<ProjectRange>().is_err(), "{text}");
        }
    }
}
