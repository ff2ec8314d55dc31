//! Names of applications.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longer ids would make task ids longer than the 255 characters that Mesos allows.
const MAX_LENGTH: usize = 200;

/// An application's absolute path, like `/shop/cart`: one or more segments, each one or
/// more labels of `a-z`, `0-9` and inner `-`, joined by dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppId(String);

impl AppId {
    /// The path that `text` names: relative ones from the root, `.` and `..` resolved.
    ///
    /// # Errors
    /// What is wrong with it, one sentence each.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let path = Self::resolve(text);
        let mut errors = Vec::new();
        let Some(last) = path.0.rsplit('/').next().filter(|last| !last.is_empty()) else {
            return Err(vec!["must have at least one segment, as in '/nginx'".into()]);
        };
        if let Some(bad) = path.segments().find(|segment| !is_segment(segment)) {
            errors.push(format!(
                "segment '{bad}' may only hold lowercase letters, digits, dots and inner hyphens"
            ));
        }
        if ["restart", "tasks", "versions"].contains(&last) {
            errors.push(
                "must not end with any of the following reserved keywords: restart, tasks, versions"
                    .into(),
            );
        }
        if path.0.len() > MAX_LENGTH {
            errors.push(format!("must not be longer than {MAX_LENGTH} characters"));
        }
        if errors.is_empty() { Ok(path) } else { Err(errors) }
    }

    /// As [`Self::parse`] without the checks: for looking up what may not exist.
    pub fn resolve(text: &str) -> Self {
        let mut segments: Vec<&str> = Vec::new();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                _ => segments.push(segment),
            }
        }
        Self(format!("/{}", segments.join("/")))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the root on.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0[1..].split('/')
    }

    /// With `_` for the inner slashes: the first part of task ids. Ids hold no `_`, so
    /// this is reversible: see [`Self::from_safe`].
    pub fn safe(&self) -> String {
        self.0[1..].replace('/', "_")
    }

    /// The id whose [`Self::safe`] form is `safe`.
    pub fn from_safe(safe: &str) -> Self {
        Self::resolve(&safe.replace('_', "/"))
    }

    /// `c.b.a` for `/a/b/c`: the task's name, which becomes its name in DNS.
    pub fn reversed(&self) -> String {
        self.segments().rev().collect::<Vec<_>>().join(".")
    }

    /// Whether `group` is one of the groups that this application is in.
    pub fn is_in(&self, group: &Self) -> bool {
        self.0.strip_prefix(&group.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(segment: &str) -> bool {
    segment.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute() {
        for (text, path) in
            [("nginx", "/nginx"), ("/a/b", "/a/b"), ("//a/../b/./c/", "/b/c"), ("1.b-c", "/1.b-c")]
        {
            assert_eq!(AppId::parse(text).unwrap().as_str(), path);
        }
    }

    #[test]
    fn bad_paths_are_refused() {
        for text in ["", "/", "..", "a_b", "Nginx", "-a", "a-", "a..b", "a b", "é", "a/tasks"] {
            assert!(AppId::parse(text).is_err(), "{text}");
        }
        assert!(AppId::parse(&"a".repeat(200)).is_err());
        assert_eq!(AppId::parse("A/tasks").unwrap_err().len(), 2);
    }

    #[test]
    fn other_forms() {
        let id = AppId::parse("/a/b-1/c.d").unwrap();
        assert_eq!(id.safe(), "a_b-1_c.d");
        assert_eq!(AppId::from_safe(&id.safe()), id);
        assert_eq!(id.reversed(), "c.d.b-1.a");
        assert!(id.is_in(&AppId::resolve("/a")) && !id.is_in(&AppId::resolve("/a/b")));
    }
}
