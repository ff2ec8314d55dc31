//! Sums and differences of collections.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use crate::Resources;

impl AddAssign<&Self> for Resources {
    fn add_assign(&mut self, other: &Self) {
        self.extend(other.iter().cloned());
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend(other);
        }
    }
}

impl Add for Resources {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Add<&Self> for Resources {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        self += other;
        self
    }
}

impl SubAssign<&Self> for Resources {
    fn sub_assign(&mut self, other: &Self) {
        for resource in other {
            self.subtract(resource);
        }
    }
}

impl Sub<&Self> for Resources {
    type Output = Self;

    fn sub(mut self, other: &Self) -> Self {
        self -= other;
        self
    }
}

impl Sub for Resources {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        self -= &other;
        self
    }
}
