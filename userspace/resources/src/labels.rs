//! Labels of reservations and of disks.

use std::cmp::Ordering;
use std::fmt;

/// A key, perhaps with a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value, if it has one.
    pub value: Option<String>,
}

/// Labels without regard to their order; a key may be there more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<Label>);

impl Labels {
    /// The labels: by key, those with a value first.
    pub fn as_slice(&self) -> &[Label] {
        &self.0
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then_with(|| match (&self.value, &other.value) {
            (Some(own), Some(other)) => own.cmp(other),
            (own, other) => other.is_some().cmp(&own.is_some()),
        })
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut labels: Vec<Label> = labels.into_iter().collect();
        labels.sort_unstable();
        Self(labels)
    }
}

/// `{foo: bar, foo}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, label) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", label.key)?;
            if let Some(value) = &label.value {
                write!(f, ": {value}")?;
            }
        }
        f.write_str("}")
    }
}
