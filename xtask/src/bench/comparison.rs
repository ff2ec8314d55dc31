//! Some ways to a server beside a reference: ratios to what was measured just before and just after.

use comfy_table::Table;

use super::record::Record;
use super::sample::Sample;
use super::spread::Spread;
use crate::ui::Ui;

/// One comparison with the reference.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) own: Sample,
    pub(super) reference: [Sample; 2],
}

/// A part of a sample: its name, its unit, and where it is.
pub(super) type Part = (&'static str, &'static str, fn(Sample) -> f64);

pub(super) const RATE: Part = ("per second", "1/s", |sample| sample.rate);
pub(super) const PROCESSOR: Part =
    ("per second of processor time", "1/s of processor time", |sample| sample.per_processor);

/// What is compared.
pub(super) struct Comparison<'a> {
    pub(super) bench: &'a str,
    pub(super) case: &'a str,
    /// Name of the reference.
    pub(super) reference: &'a str,
    /// What of the samples is shown.
    pub(super) parts: &'a [Part],
}

// === impl Comparison ===

impl Comparison<'_> {
    /// Shows a table of what was measured, by subject; the records of it. Subjects without any are left out.
    pub(super) fn report<'s>(
        &self,
        ui: Ui,
        measured: impl Iterator<Item = (&'s str, &'s Vec<Pair>)> + Clone,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut table = Table::new();
        let ratio = format!("ratio to {} (quartiles)", self.reference);
        let mut header = vec![self.case];
        header.extend(self.parts.iter().flat_map(|(name, ..)| [*name, &ratio]));
        table.set_header(header);
        let reference =
            measured.clone().flat_map(|(_, pairs)| pairs).flat_map(|pair| pair.reference);
        let mut row = vec![self.reference.to_owned()];
        for (_, unit, part) in self.parts {
            let median = Spread::of(reference.clone().map(part)).median;
            row.extend([format!("{median:.0}"), String::new()]);
            lines.extend(self.record(self.reference, median, unit, None));
        }
        table.add_row(row);
        for (subject, pairs) in measured.filter(|(_, pairs)| !pairs.is_empty()) {
            let mut row = vec![subject.to_owned()];
            for (_, unit, part) in self.parts {
                let value = Spread::of(pairs.iter().map(|pair| part(pair.own))).median;
                let ratios = pairs.iter().map(|pair| pair.own.ratio(pair.reference, *part));
                let ratio = Spread::of(ratios);
                row.extend([format!("{value:.0}"), ratio.to_string()]);
                lines.extend(self.record(subject, value, unit, Some(ratio.median)));
            }
            table.add_row(row);
        }
        ui.say(table);
        lines
    }

    fn record(&self, subject: &str, value: f64, unit: &str, ratio: Option<f64>) -> Option<String> {
        let Self { bench, case, .. } = *self;
        let ratio_to = ratio.map(|_| self.reference);
        serde_json::to_string(&Record { bench, case, subject, value, unit, ratio_to, ratio }).ok()
    }
}
