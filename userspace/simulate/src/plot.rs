//! A picture of shares over time.

mod axis;
mod canvas;
mod style;

use self::axis::Axis;
use self::canvas::{Anchor, Canvas};
use self::style::Style;
use crate::History;
use crate::history::{Change, Series};
use crate::seconds::Seconds;

const LEFT: f64 = 64.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 56.0;
const WIDTH: f64 = 720.0;
/// At least; with many lines the legend needs more.
const HEIGHT: f64 = 360.0;
const ROW: f64 = 20.0;
/// Room of a letter.
const LETTER: f64 = 7.2;
/// From the plot to the legend's texts, with what is drawn in front of them.
const MARGIN: f64 = 64.0;

const GRID: &str = "#e3e3e3";
const INK: &str = "#333333";

/// The shares of all roles and frameworks over the steps that may change them, as an SVG
/// picture (SVG 1.1): roles as thick lines, frameworks as thin ones, with a legend, and marks
/// where virtual time moved.
pub fn plot(history: &History) -> String {
    let largest = history.series().flat_map(|(_, changes)| changes).filter_map(|(_, share)| *share);
    let shares = Axis::new(largest.fold(0.0, f64::max), 10.0);
    // At least one, for a line to have a length.
    let steps = Axis::whole(history.steps().max(1), 12.0);
    let names: Vec<String> = history.series().map(|(series, _)| name(series)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let height = HEIGHT.max(ROW * length(names.len()));
    let right = LEFT + WIDTH;
    let mut canvas =
        Canvas::new(right + MARGIN + LETTER * length(longest) + 16.0, TOP + height + BOTTOM);
    canvas.text(LEFT, 24.0, Anchor::Start, 16.0, "Dominant shares");
    let x = |step: f64| LEFT + WIDTH * steps.part(step);
    let y = |share: f64| TOP + height * (1.0 - shares.part(share));
    for tick in shares.ticks() {
        canvas.line((LEFT, y(tick)), (right, y(tick)), GRID);
        canvas.text(LEFT - 8.0, y(tick) + 4.0, Anchor::End, 12.0, &shares.label(tick));
    }
    for tick in steps.ticks() {
        canvas.line((x(tick), TOP + height), (x(tick), TOP + height + 5.0), INK);
        canvas.text(x(tick), TOP + height + 20.0, Anchor::Middle, 12.0, &steps.label(tick));
    }
    canvas.text(LEFT + WIDTH / 2.0, TOP + height + 42.0, Anchor::Middle, 12.0, "step");
    times(&mut canvas, history, x, height);
    canvas.line((LEFT, TOP), (LEFT, TOP + height), INK);
    canvas.line((LEFT, TOP + height), (right, TOP + height), INK);
    let mut styles = Style::all();
    let all: Vec<(String, Style, &[Change])> = history
        .series()
        .zip(names)
        .map(|((series, changes), name)| (name, styles.next(series.framework.is_some()), changes))
        .collect();
    // Thin lines over thick ones: a role's only framework has the same share.
    for thick in [true, false] {
        for (name, style, changes) in all.iter().filter(|(_, style, _)| style.is_thick() == thick) {
            for path in paths(changes, history.steps()) {
                let points: Vec<(f64, f64)> =
                    path.into_iter().map(|(step, share)| (x(step), y(share))).collect();
                canvas.path(&points, style, name);
            }
        }
    }
    for (row, (name, style, _)) in all.iter().enumerate() {
        let y = TOP + ROW * (length(row) + 0.5);
        canvas.path(&[(right + 20.0, y), (right + MARGIN - 12.0, y)], style, name);
        canvas.text(right + MARGIN, y + 4.0, Anchor::Start, 12.0, name);
    }
    canvas.finish()
}

fn name(series: &Series) -> String {
    match &series.framework {
        None => series.role.clone(),
        Some(framework) => format!("{framework} in {}", series.role),
    }
}

/// Marks where time moved, with as many labels as have room.
fn times(canvas: &mut Canvas, history: &History, x: impl Fn(f64) -> f64, height: f64) {
    let mut free_from = LEFT;
    let mut last = history.times().first().copied().unwrap_or_default();
    for (step, now) in history.times().iter().enumerate() {
        if *now == last {
            continue;
        }
        last = *now;
        // Between the last step before and the first after.
        let x = x(length(step));
        canvas.dashes((x, TOP - 4.0), (x, TOP + height));
        let label = format!("{} s", Seconds(*now).json());
        let half = LETTER * length(label.len()) / 2.0;
        if x - half >= free_from {
            canvas.text(x, TOP - 10.0, Anchor::Middle, 12.0, &label);
            free_from = x + half;
        }
    }
}

/// What is drawn of a series: its share holds from one step to the next, and where there is
/// none the line is interrupted.
fn paths(changes: &[Change], steps: usize) -> Vec<Vec<(f64, f64)>> {
    let mut paths = Vec::new();
    let mut path: Vec<(f64, f64)> = Vec::new();
    let ends = changes.iter().skip(1).map(|(step, _)| *step).chain([steps]);
    for ((step, share), end) in changes.iter().zip(ends) {
        match share {
            Some(share) => path.extend([(length(*step), *share), (length(end), *share)]),
            None => paths.push(std::mem::take(&mut path)),
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty());
    paths
}

/// A count as a length.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 fit in a picture")]
fn length(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_until_the_next_change() {
        let changes = [(1, Some(0.5)), (3, None), (4, Some(0.25)), (6, Some(1.0))];
        assert_eq!(
            paths(&changes, 8),
            [vec![(1.0, 0.5), (3.0, 0.5)], vec![(4.0, 0.25), (6.0, 0.25), (6.0, 1.0), (8.0, 1.0)],]
        );
        assert!(paths(&[], 8).is_empty());
    }

    #[test]
    fn nothing_has_a_picture_too() {
        let picture = plot(&History::default());
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
    }
}
