//! Amounts.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use crate::Problem;

/// An amount in thousandths: exact where Mesos' are, to three decimals.
///
/// Sums stop at the ends of `i64`, which is nine thousand times what one resource can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(i64);

/// Largest amount of one resource.
const MAX: f64 = 1e15;

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a number of thousandths.
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// The number of thousandths.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// From a count of whole things.
    pub fn whole(count: u64) -> Self {
        Self(i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(1000))
    }

    /// The nearest thousandth of a number; halves go away from zero.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`] for what is no number or has a magnitude above 10^15.
    pub fn from_f64(number: f64) -> Result<Self, Problem> {
        if !(-MAX..=MAX).contains(&number) {
            return Err(Problem::OutOfRange(number.to_string()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 10^18")]
        Ok(Self((number * 1000.0).round() as i64))
    }

    /// The number, as near as `f64` comes: exact up to 2^53 units.
    #[expect(clippy::cast_precision_loss, reason = "the nearest one is wanted")]
    pub fn as_f64(self) -> f64 {
        // Apart, so that only numbers below 1000 are divided.
        (self.0 / 1000) as f64 + (self.0 % 1000) as f64 / 1000.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This as a part of `whole`, or 0 if that is nothing. Equal parts give the same number:
    /// a third is a third, of whatever it is.
    #[expect(clippy::cast_precision_loss, reason = "the nearest one is wanted")]
    pub fn ratio(self, whole: Self) -> f64 {
        if whole.0 <= 0 { 0.0 } else { self.0 as f64 / whole.0 as f64 }
    }

    /// Difference, or nothing where that is negative.
    #[must_use]
    pub fn minus_floored(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }
}

impl Add for Scalar {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Scalar {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Scalar {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Scalar {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Sum for Scalar {
    fn sum<I: Iterator<Item = Self>>(scalars: I) -> Self {
        scalars.fold(Self::ZERO, Add::add)
    }
}

/// `4`, `0.5`, `1.235`: no more digits than needed.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let mut text = whole.to_string();
        if rest != 0 {
            text.push('.');
            text.push_str(format!("{rest:03}").trim_end_matches('0'));
        }
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(number: f64) -> String {
        Scalar::from_f64(number).unwrap().to_string()
    }

    #[test]
    fn scalars_print_no_more_than_three_decimals() {
        assert_eq!(printed(1.234), "1.234");
        assert_eq!(printed(1.2345), "1.235");
        assert_eq!(printed(1.2344), "1.234");
        assert_eq!(printed(1.1), "1.1");
        assert_eq!(printed(1_000_001.0), "1000001");
        assert_eq!(printed(99_999_999_999.999_4), "99999999999.999");
        assert_eq!(printed(-0.5), "-0.5");
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(Scalar::from_f64(1.5015).unwrap(), Scalar::from_thousandths(1502));
        assert_eq!(Scalar::from_f64(-1.5015).unwrap(), Scalar::from_thousandths(-1502));
        assert_eq!(Scalar::from_f64(1.5011).unwrap(), Scalar::from_thousandths(1501));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e16, -1e16] {
            assert!(matches!(Scalar::from_f64(number), Err(Problem::OutOfRange(_))), "{number}");
        }
    }

    #[test]
    fn numbers_survive_a_round_trip() {
        for thousandths in [0, 1, 999, 1000, 1001, 45_550, 123_456_789, -7] {
            let scalar = Scalar::from_thousandths(thousandths);
            assert_eq!(Scalar::from_f64(scalar.as_f64()).unwrap(), scalar);
        }
    }
}
