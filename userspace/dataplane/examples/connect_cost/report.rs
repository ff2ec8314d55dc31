//! Results, for people or as JSON.

use serde_json::json;

use crate::{arguments::Arguments, spread::Spread};

/// What is measured: what something costs more than `direct`.
pub(crate) struct Report<'a> {
    pub(crate) bench: &'a str,
    pub(crate) case: &'a str,
    /// ns more.
    pub(crate) added: Spread,
    /// What the added is compared with, and its ns.
    pub(crate) direct: (&'a str, &'a Spread),
}

// === impl Report ===

impl Report<'_> {
    pub(crate) fn print(&self, arguments: &Arguments) {
        let Self { bench, case, added, direct: (name, direct) } = self;
        if arguments.json {
            let line = json!({
                "bench": bench,
                "case": case,
                "subject": "muster",
                "value": added.median.round(),
                "low": added.low.round(),
                "high": added.high.round(),
                "unit": "ns added",
                "ratio_to": name,
                "ratio": (direct.median + added.median) / direct.median,
            });
            println!("{line}");
        } else {
            println!(
                "{case:>40}: {:>5.0} ns added ({:.0} to {:.0}) to {:.0} ns of {name}",
                added.median, added.low, added.high, direct.median,
            );
        }
    }
}
