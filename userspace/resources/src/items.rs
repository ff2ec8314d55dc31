//! Sets of words.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

/// A set of words, in order. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Items(Option<Arc<Vec<SmolStr>>>);

impl Items {
    /// Of what is in order, each once.
    fn of(items: Vec<SmolStr>) -> Self {
        Self((!items.is_empty()).then(|| Arc::new(items)))
    }

    fn as_slice(&self) -> &[SmolStr] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Whether no word is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many words are in the set.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Every word, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.as_slice().iter().map(SmolStr::as_str)
    }

    /// Whether every word of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        other.as_slice().iter().all(|item| self.as_slice().binary_search(item).is_ok())
    }

    /// Adds every word of `other`.
    pub fn add(&mut self, other: &Self) {
        if !other.is_empty() {
            *self = self.as_slice().iter().chain(other.as_slice()).cloned().collect();
        }
    }

    /// Takes every word of `other` out; what is not there does not matter.
    pub fn subtract(&mut self, other: &Self) {
        let is_left = |item: &&SmolStr| other.as_slice().binary_search(item).is_err();
        *self = Self::of(self.as_slice().iter().filter(is_left).cloned().collect());
    }
}

impl<T: Into<SmolStr>> FromIterator<T> for Items {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items: Vec<SmolStr> = items.into_iter().map(Into::into).collect();
        items.sort_unstable();
        items.dedup();
        Self::of(items)
    }
}

/// `{sda1, sdb1}`.
impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.as_slice().join(", "))
    }
}
