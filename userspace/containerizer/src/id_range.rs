//! Users and groups of the host that stand for those of containers.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Whose lines of /etc/subuid and /etc/subgid count, the first one that has any.
const NAMES: [&str; 2] = ["muster", "root"];

/// Consecutive ids of the host: the first one is root of the container, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first one, never 0.
    first: u32,
    /// How many, at least 1.
    count: u32,
}

impl IdRange {
    /// `count` ids from `first` on; `None` if root of the host is among them, or they are too
    /// many.
    #[must_use]
    pub fn new(first: u32, count: u32) -> Option<Self> {
        // The last number means "none" to the kernel.
        let end = first.checked_add(count)?;
        (first > 0 && count > 0 && end < u32::MAX).then_some(Self { first, count })
    }

    /// The host's id of the container's `id`; `None` if it has none.
    pub(crate) fn outside(self, id: u32) -> Option<u32> {
        (id < self.count).then(|| self.first + id)
    }

    /// All parts of `size` ids, as many as there is room for.
    pub(crate) fn parts(self, size: u32) -> impl Iterator<Item = Self> {
        let parts = self.count.checked_div(size).unwrap_or(0);
        (0..parts).map(move |part| Self { first: self.first + part * size, count: size })
    }

    /// Whether any id is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first < other.first + other.count && other.first < self.first + self.count
    }

    /// How many there are.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// What the machine's files of subordinate ids leave to agents (subuid(5), subgid(5)).
    pub(crate) fn of_machine() -> Result<Self, Error> {
        let read = |path: &str| match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            text => text.map_err(|error| refuse(format!("read {path}: {error}"))),
        };
        let [users, groups] =
            [Self::listed(&read("/etc/subuid")?), Self::listed(&read("/etc/subgid")?)];
        match (users, groups) {
            (Some(users), Some(groups)) if users == groups => Ok(users),
            _ => Err(refuse(
                "needs --user-namespaces-range=FIRST:COUNT, or the same line muster:FIRST:COUNT in \
                 /etc/subuid and /etc/subgid"
                    .into(),
            )),
        }
    }

    fn listed(text: &str) -> Option<Self> {
        let of = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        NAMES.into_iter().find_map(of)?.trim().parse().ok()
    }
}

fn refuse(reason: String) -> Error {
    Error::Config { field: "user_namespaces", reason }
}

/// `FIRST:COUNT`.
impl FromStr for IdRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once(':')
            .and_then(|(first, count)| Some((first.parse().ok()?, count.parse().ok()?)));
        let range = numbers.and_then(|(first, count)| Self::new(first, count));
        range.ok_or_else(|| format!("`{text}` is not FIRST:COUNT, like 100000:65536, without root"))
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_with_root() {
        let range: IdRange = "100000:65536".parse().unwrap();
        assert_eq!(range.to_string(), "100000:65536");
        assert_eq!((range.outside(0), range.outside(65_535)), (Some(100_000), Some(165_535)));
        assert_eq!(range.outside(65_536), None);
        for text in ["", "1", "0:5", "5:0", "-1:5", "4294967290:10", "a:b"] {
            assert!(text.parse::<IdRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_agents_own_line_comes_first() {
        let text = "root:1000:10\nmuster:100000:65536\nmuster2:1:1\n";
        assert_eq!(IdRange::listed(text), IdRange::new(100_000, 65_536));
        assert_eq!(IdRange::listed("root:1000:10\n"), IdRange::new(1000, 10));
        assert_eq!(IdRange::listed("other:1000:10\n"), None);
    }
}
