//! A median and how far its values are apart.

use std::fmt;

/// The median and the quartiles of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of at least one value; of none, all are NaN.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self { low: at(&values, 0.25), median: at(&values, 0.5), high: at(&values, 0.75) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.low, self.high)
    }
}

/// The value at a part of the way through sorted values, between two of them if need be.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions in a short list"
)]
pub(super) fn at(values: &[f64], part: f64) -> f64 {
    let position = part * values.len().saturating_sub(1) as f64;
    let value = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let (below, above) = (value(position.floor() as usize), value(position.ceil() as usize));
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_values() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread, Spread { low: 1.75, median: 2.5, high: 3.25 });
        assert_eq!(Spread::of([7.0]), Spread { low: 7.0, median: 7.0, high: 7.0 });
        assert!(Spread::of([]).median.is_nan());
    }
}
