//! How lines look.

/// Colours that those who see few colours can tell apart too (Okabe and Ito, 2008), without
/// the yellow that white paper swallows.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// Patterns, for when the colours are used up.
const DASHES: [&str; 4] = ["", "6 3", "2 3", "9 3 2 3"];

/// Colour, pattern and width of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) colour: &'static str,
    pub(super) dashes: &'static str,
    thin: bool,
}

/// All styles in turn.
#[derive(Debug, Default)]
pub(super) struct Styles {
    used: usize,
}

impl Style {
    pub(super) fn all() -> Styles {
        Styles::default()
    }

    pub(super) fn is_thick(self) -> bool {
        !self.thin
    }

    pub(super) fn width(self) -> f64 {
        if self.thin { 1.75 } else { 5.0 }
    }

    /// What is thick lets through what is under it.
    pub(super) fn opacity(self) -> f64 {
        if self.thin { 1.0 } else { 0.45 }
    }
}

impl Styles {
    pub(super) fn next(&mut self, thin: bool) -> Style {
        let number = self.used;
        self.used += 1;
        Style {
            colour: COLOURS[number % COLOURS.len()],
            dashes: DASHES[number / COLOURS.len() % DASHES.len()],
            thin,
        }
    }
}
