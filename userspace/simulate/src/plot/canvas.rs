//! Lines and texts as SVG 1.1.

use std::fmt::Write as _;

use super::style::Style;

/// A picture.
#[derive(Debug)]
pub(super) struct Canvas {
    svg: String,
}

/// Which part of a text is at its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// A white sheet, in pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut canvas = Self { svg: String::new() };
        canvas.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" fill=\"none\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        ));
        canvas
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        self.put(format_args!(
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn dashes(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.put(format_args!(
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#999999\" stroke-dasharray=\"3 3\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through points; viewers show its title when it is pointed at.
    pub(super) fn path(&mut self, points: &[(f64, f64)], style: &Style, title: &str) {
        let mut data = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let letter = if index == 0 { 'M' } else { 'L' };
            append(&mut data, format_args!("{letter}{x:.1} {y:.1}"));
        }
        let (colour, width, opacity) = (style.colour, style.width(), style.opacity());
        let dashes = match style.dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        self.put(format_args!(
            "<path d=\"{data}\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-opacity=\"{opacity}\" stroke-linejoin=\"round\"{dashes}>\
             <title>{}</title></path>",
            escaped(title)
        ));
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
             fill=\"#333333\">{}</text>",
            escaped(text)
        ));
    }

    pub(super) fn finish(mut self) -> String {
        self.put(format_args!("</svg>"));
        self.svg
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        append(&mut self.svg, element);
        self.svg.push('\n');
    }
}

fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(more);
}

/// A text as XML has it (XML 1.0, sections 2.2 and 2.4); characters that it cannot have at all
/// are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escaped("a<b>&\u{1}\n"), "a&lt;b&gt;&amp;\u{fffd} ");
    }
}
