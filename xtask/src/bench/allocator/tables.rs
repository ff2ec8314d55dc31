//! Figures as people read them.

use comfy_table::Table;

use super::figure::{Figure, readable};
use super::stated::{BEYOND, STATED};

/// All figures of a case.
pub(super) fn of_case(case: &str, figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.set_header([case, "phase", "median", "least", "processor"]);
    let mut last = "";
    for figure in figures {
        let variant = if figure.variant() == last { "" } else { figure.variant() };
        let times = [figure.median(), figure.minimum(), figure.processor_median()];
        table.add_row([variant, figure.phase(), &times[0], &times[1], &times[2]]);
        last = figure.variant();
    }
    table
}

/// Those for which Mesos' figures are stated, or something is to be reached; `None` if there
/// are none. With what is reached by the processor's time alone, since the machine did other
/// things besides, the mark is in brackets.
pub(super) fn against_mesos(figures: &[Figure]) -> Option<Table> {
    let mut table = Table::new();
    let times = ["median", "least", "processor"];
    let header = ["case"].into_iter().chain(times);
    table.set_header(header.chain(["Mesos (stated)", "ratio", "to reach"]));
    let find = |case: &str| figures.iter().find(|figure| figure.case == case);
    for stated in STATED {
        let Some(figure) = find(stated.case) else { continue };
        table.add_row([
            figure.case.clone(),
            figure.median(),
            figure.minimum(),
            figure.processor_median(),
            readable(stated.mesos, &figure.unit),
            format!("{:.0} times", stated.mesos / figure.value),
            verdict(figure, stated.target),
        ]);
    }
    for (case, target) in BEYOND {
        let Some(figure) = find(case) else { continue };
        table.add_row([
            figure.case.clone(),
            figure.median(),
            figure.minimum(),
            figure.processor_median(),
            "-".to_owned(),
            "-".to_owned(),
            verdict(figure, *target),
        ]);
    }
    (!table.is_empty()).then_some(table)
}

fn verdict(figure: &Figure, target: f64) -> String {
    let mark = match figure.processor {
        _ if figure.value <= target => "✓",
        Some(processor) if processor <= target => "(✓)",
        _ => "✗",
    };
    format!("{} {mark}", readable(target, &figure.unit))
}
