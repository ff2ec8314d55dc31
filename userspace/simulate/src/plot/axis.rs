//! From values to places, with round numbers on the way.

/// Labels have no more.
const MOST_DECIMALS: u8 = 12;

/// An axis from 0 on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    end: f64,
    tick: f64,
    decimals: usize,
}

impl Axis {
    /// An axis that ends with a tick at or above `largest`, with at most so many ticks after
    /// the first.
    pub(super) fn new(largest: f64, ticks: f64) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let power = (largest / ticks).log10().floor();
        let steps = [(1.0, power), (2.0, power), (5.0, power), (1.0, power + 1.0)];
        let enough = |(digit, power): &(f64, f64)| {
            digit * 10_f64.powf(*power) * ticks >= largest * (1.0 - 1e-9)
        };
        // The last is enough but for what rounding takes.
        let (digit, power) = steps.into_iter().find(enough).unwrap_or(steps[3]);
        let tick = digit * 10_f64.powf(power);
        let decimals = (0..=MOST_DECIMALS).find(|decimals| f64::from(*decimals) >= -power);
        let decimals = usize::from(decimals.unwrap_or(MOST_DECIMALS));
        // A hair less, so that 3 times 0.1 is 0.3.
        let end = (largest / tick - 1e-9).ceil() * tick;
        Self { end, tick, decimals }
    }

    /// An axis of whole numbers that ends with `largest`.
    pub(super) fn whole(largest: usize, ticks: f64) -> Self {
        let end = super::length(largest);
        let axis = Self::new(end, ticks);
        Self { end, tick: axis.tick.max(1.0), decimals: 0 }
    }

    /// Where a value is, from 0 at the beginning to 1 at the end.
    pub(super) fn part(self, value: f64) -> f64 {
        value / self.end
    }

    pub(super) fn ticks(self) -> impl Iterator<Item = f64> {
        let ticks = std::iter::successors(Some(0.0), |last| Some(last + 1.0));
        let last = self.end * (1.0 + 1e-9);
        ticks.map(move |number| number * self.tick).take_while(move |tick| *tick <= last)
    }

    pub(super) fn label(self, tick: f64) -> String {
        format!("{tick:.*}", self.decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks().map(|tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Axis::new(0.6667, 10.0)).join(" "), "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7");
        assert_eq!(labels(Axis::new(1.0, 5.0)).join(" "), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(labels(Axis::new(0.0012, 5.0)).join(" "), "0.0000 0.0005 0.0010 0.0015");
        assert_eq!(labels(Axis::new(37.0, 5.0)).join(" "), "0 10 20 30 40");
        assert_eq!(labels(Axis::new(0.0, 2.0)).join(" "), "0.0 0.5 1.0");
    }

    #[test]
    fn steps_are_whole() {
        assert_eq!(labels(Axis::whole(3, 12.0)).join(" "), "0 1 2 3");
        assert_eq!(labels(Axis::whole(47, 5.0)).join(" "), "0 10 20 30 40");
    }

    #[test]
    fn every_axis_ends() {
        for largest in [1e-30, 1e-7, 0.1, 0.3, 1.0, 9.99, 1e6, 1e15] {
            let axis = Axis::new(largest, 10.0);
            let ticks = axis.ticks().count();
            assert!((2..=11).contains(&ticks) || largest < 1e-9, "{largest}: {ticks}");
            assert!(axis.part(largest) <= 1.0 + 1e-9, "{largest}");
        }
    }
}
