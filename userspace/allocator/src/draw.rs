//! Reproducible chance.
//!
//! Every random choice of the allocator is drawn from the seed and from what the choice is
//! about: the cycle, the stage, the agent. So a choice does not depend on how many others
//! were made before it, and leaving out work that cannot lead to anything changes nothing.

/// Numbers that look random and depend on everything that they are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// The source of all numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// Numbers for something in particular.
    #[must_use]
    pub fn of(self, subject: u64) -> Self {
        Self(mix(self.0 ^ mix(subject.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// Numbers for something with a name.
    #[must_use]
    pub fn of_text(self, subject: &str) -> Self {
        self.of(hash(subject))
    }

    /// A number, all equally likely.
    pub fn number(self) -> u64 {
        self.0
    }

    /// A number between 0 and 1, both excluded.
    pub fn fraction(self) -> f64 {
        // 53 bits, and half a step so that it is never 0.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.0 >> 11) as f64;
        (bits + 0.5) / 9_007_199_254_740_992.0
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014): a bijection in which
/// each bit of the input changes each bit of the output half the time.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// FNV-1a, which is the same on every machine and in every version.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_spread_evenly() {
        let draw = Draw::new(7);
        let fractions: Vec<f64> = (0..10_000).map(|subject| draw.of(subject).fraction()).collect();
        assert!(fractions.iter().all(|fraction| 0.0 < *fraction && *fraction < 1.0));
        for tenth in 0..10 {
            let tenth = f64::from(tenth) / 10.0;
            let count = fractions.iter().filter(|f| (tenth..tenth + 0.1).contains(*f)).count();
            assert!((900..1100).contains(&count), "{count} in the tenth from {tenth}");
        }
    }

    #[test]
    fn the_same_subject_gives_the_same_number() {
        let first = Draw::new(1).of(2).of_text("a");
        assert_eq!(first, Draw::new(1).of(2).of_text("a"));
        assert_ne!(first, Draw::new(2).of(2).of_text("a"));
        assert_ne!(first, Draw::new(1).of(3).of_text("a"));
        assert_ne!(first, Draw::new(1).of(2).of_text("b"));
        assert_ne!(Draw::new(0).number(), 0);
    }
}
