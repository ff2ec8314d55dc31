//! Figures as people read them.

use comfy_table::Table;

use super::figure::{Figure, readable};
use super::stated::{BEYOND, STATED};

/// All figures of a case.
pub(super) fn of_case(case: &str, figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.set_header([case, "phase", "median", "least"]);
    let mut last = "";
    for figure in figures {
        let variant = if figure.variant() == last { "" } else { figure.variant() };
        table.add_row([variant, figure.phase(), &figure.median(), &figure.minimum()]);
        last = figure.variant();
    }
    table
}

/// Those for which Mesos' figures are stated, or something is to be reached; `None` if there
/// are none.
pub(super) fn against_mesos(figures: &[Figure]) -> Option<Table> {
    let mut table = Table::new();
    table.set_header(["case", "median", "least", "Mesos (stated)", "ratio", "to reach"]);
    let find = |case: &str| figures.iter().find(|figure| figure.case == case);
    for stated in STATED {
        let Some(figure) = find(stated.case) else { continue };
        table.add_row([
            figure.case.clone(),
            figure.median(),
            figure.minimum(),
            readable(stated.mesos, &figure.unit),
            format!("{:.0} times", stated.mesos / figure.value),
            verdict(figure, stated.target),
        ]);
    }
    for (case, target) in BEYOND {
        let Some(figure) = find(case) else { continue };
        let (case, dash) = (figure.case.clone(), "-".to_owned());
        let verdict = verdict(figure, *target);
        table.add_row([case, figure.median(), figure.minimum(), dash.clone(), dash, verdict]);
    }
    (!table.is_empty()).then_some(table)
}

fn verdict(figure: &Figure, target: f64) -> String {
    let mark = if figure.value <= target { "✓" } else { "✗" };
    format!("{} {mark}", readable(target, &figure.unit))
}
