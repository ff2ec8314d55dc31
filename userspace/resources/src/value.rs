//! How much of something there is.

use std::fmt;

use crate::{Items, Problem, Range, Ranges, Scalar};

/// The value of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// An amount.
    Scalar(Scalar),
    /// Whole numbers.
    Ranges(Ranges),
    /// Words.
    Set(Items),
}

impl Value {
    /// Reads `4.5`, `[1-5, 7-9]` or `{a, b}`; `None` if the text is none of them but
    /// plain words, as attributes may have.
    ///
    /// # Errors
    /// What starts like ranges or a set but is none, an empty text, and numbers that
    /// are out of range.
    pub fn parse(text: &str) -> Result<Option<Self>, Problem> {
        let text = text.trim();
        let bad = || Problem::Value(text.to_owned());
        if text.is_empty() {
            return Err(bad());
        }
        // Brackets and braces are only ever around a value.
        if text.starts_with('[') {
            let inner =
                text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(bad)?;
            return parse_ranges(inner).map(|ranges| Some(Self::Ranges(ranges)));
        }
        if text.starts_with('{') {
            let inner =
                text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(bad)?;
            if inner.contains(['{', '}', '[', ']']) {
                return Err(bad());
            }
            let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
            return Ok(Some(Self::Set(items.collect())));
        }
        if text.contains(['{', '}', '[', ']']) {
            return Err(bad());
        }
        match text.parse::<f64>() {
            // `inf` and `nan` are words here.
            Ok(number) if number.is_finite() => {
                if number.is_subnormal() {
                    return Err(Problem::OutOfRange(text.to_owned()));
                }
                Scalar::from_f64(number).map(|scalar| Some(Self::Scalar(scalar)))
            }
            _ => Ok(None),
        }
    }

    /// Whether this is no amount, no number and no word.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.is_zero(),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(items) => items.is_empty(),
        }
    }

    /// How much there is: the amount, or how many numbers or words.
    pub fn quantity(&self) -> Scalar {
        match self {
            Self::Scalar(scalar) => *scalar,
            Self::Ranges(ranges) => Scalar::whole(ranges.count()),
            Self::Set(items) => Scalar::whole(items.len() as u64),
        }
    }

    /// Which of the three it is.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Scalar(_) => 0,
            Self::Ranges(_) => 1,
            Self::Set(_) => 2,
        }
    }

    /// Whether all of `other`, which is of the same type, is in here.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => other <= own,
            (Self::Ranges(own), Self::Ranges(other)) => own.contains(other),
            (Self::Set(own), Self::Set(other)) => own.contains(other),
            _ => false,
        }
    }

    /// Adds `other`, which is of the same type.
    pub(crate) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => *own += *other,
            (Self::Ranges(own), Self::Ranges(other)) => own.add(other),
            (Self::Set(own), Self::Set(other)) => own.add(other),
            _ => debug_assert!(false, "values of different types"),
        }
    }

    /// Takes `other`, which is of the same type, away. Scalars may become negative.
    pub(crate) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(own), Self::Scalar(other)) => *own -= *other,
            (Self::Ranges(own), Self::Ranges(other)) => own.subtract(other),
            (Self::Set(own), Self::Set(other)) => own.subtract(other),
            _ => debug_assert!(false, "values of different types"),
        }
    }
}

/// Ranges between commas. Mesos takes brackets inside of them, so brackets are skipped.
fn parse_ranges(text: &str) -> Result<Ranges, Problem> {
    let bad = |part: &str| Problem::Range(part.trim().to_owned());
    if text.matches('[').count() != text.matches(']').count() {
        return Err(bad(text));
    }
    let mut ranges = Vec::new();
    for part in text.split([',', '[', ']']).filter(|part| !part.trim().is_empty()) {
        let (begin, end) = part.split_once('-').ok_or_else(|| bad(part))?;
        let number = |text: &str| text.trim().parse().map_err(|_| bad(part));
        ranges.push(Range { begin: number(begin)?, end: number(end)? });
    }
    Ranges::new(ranges)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Ranges(ranges) => ranges.fmt(f),
            Self::Set(items) => items.fmt(f),
        }
    }
}
