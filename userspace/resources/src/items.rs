//! Sets of words.

use std::fmt;

use smol_str::SmolStr;

/// A set of words, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Items(Vec<SmolStr>);

impl Items {
    /// Whether no word is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many words are in the set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Every word, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SmolStr::as_str)
    }

    /// Whether every word of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|item| self.0.binary_search(item).is_ok())
    }

    /// Adds every word of `other`.
    pub fn add(&mut self, other: &Self) {
        for item in &other.0 {
            if let Err(position) = self.0.binary_search(item) {
                self.0.insert(position, item.clone());
            }
        }
    }

    /// Takes every word of `other` out; what is not there does not matter.
    pub fn subtract(&mut self, other: &Self) {
        self.0.retain(|item| other.0.binary_search(item).is_err());
    }
}

impl<T: Into<SmolStr>> FromIterator<T> for Items {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items: Vec<SmolStr> = items.into_iter().map(Into::into).collect();
        items.sort_unstable();
        items.dedup();
        Self(items)
    }
}

/// `{sda1, sdb1}`.
impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.join(", "))
    }
}
