//! One figure of the measuring program.

use serde::Deserialize;

/// How long a phase of a case takes, or how much memory.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Figure {
    /// Case, variant and phase, with slashes between them.
    pub(super) case: String,
    /// The median.
    pub(super) value: f64,
    pub(super) least: f64,
    /// Median of the processor's time alone, of times.
    pub(super) processor: Option<f64>,
    pub(super) unit: String,
}

impl Figure {
    pub(super) fn variant(&self) -> &str {
        self.case.split('/').nth(1).unwrap_or_default()
    }

    pub(super) fn phase(&self) -> &str {
        self.case.splitn(3, '/').nth(2).unwrap_or_default()
    }

    pub(super) fn median(&self) -> String {
        readable(self.value, &self.unit)
    }

    pub(super) fn minimum(&self) -> String {
        readable(self.least, &self.unit)
    }

    pub(super) fn processor_median(&self) -> String {
        self.processor.map_or_else(|| "-".to_owned(), |time| readable(time, &self.unit))
    }
}

/// With a unit that leaves few digits.
pub(super) fn readable(value: f64, unit: &str) -> String {
    match unit {
        "us" if value >= 1e6 => format!("{:.2} s", value / 1e6),
        "us" if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        "us" if value >= 1.0 => format!("{value:.1} us"),
        "us" => format!("{:.0} ns", value * 1e3),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_few_digits() {
        assert_eq!(readable(21e6, "us"), "21.00 s");
        assert_eq!(readable(2_345.0, "us"), "2.35 ms");
        assert_eq!(readable(56.78, "us"), "56.8 us");
        assert_eq!(readable(0.0213, "us"), "21 ns");
        assert_eq!(readable(3143.7, "B"), "3144 B");
    }

    #[test]
    fn a_case_has_parts() {
        let line = r#"{"bench":"allocator","case":"A/1x2 b/c, d/e","subject":"muster","value":1.5,"unit":"us","least":1.0,"processor":1.2}"#;
        let figure: Figure = serde_json::from_str(line).unwrap();
        assert_eq!((figure.variant(), figure.phase()), ("1x2 b", "c, d/e"));
        assert_eq!((figure.median(), figure.minimum()), ("1.5 us".into(), "1.0 us".into()));
        assert_eq!(figure.processor_median(), "1.2 us");
    }
}
