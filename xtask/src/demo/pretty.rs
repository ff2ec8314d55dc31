//! JSON to read: what fits on a line stays on one.

use serde_json::Value;

/// Longest line before a value is set out on several.
const WIDTH: usize = 92;

/// The value's lines.
pub(super) fn lines(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    set_out(value, "", "", 0, &mut lines);
    lines
}

/// Writes `label`, the value and `end`, `depth` levels in.
fn set_out(value: &Value, label: &str, end: &str, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let line = format!("{indent}{label}{value}{end}");
    let parts: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().map(|value| (String::new(), value)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (format!("{}: ", Value::from(key.as_str())), value))
            .collect(),
        _ => Vec::new(),
    };
    if parts.is_empty() || line.chars().count() <= WIDTH {
        lines.push(line);
        return;
    }
    let (open, close) = if value.is_array() { ('[', ']') } else { ('{', '}') };
    lines.push(format!("{indent}{label}{open}"));
    let last = parts.len() - 1;
    for (index, (label, part)) in parts.into_iter().enumerate() {
        set_out(part, &label, if index == last { "" } else { "," }, depth + 1, lines);
    }
    lines.push(format!("{indent}{close}{end}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_is_one_line_and_the_rest_is_still_the_same_json() {
        assert_eq!(lines(&json!({ "a": [1, 2] })), [r#"{"a":[1,2]}"#]);
        let long = json!({ "list": (0..40).collect::<Vec<_>>(), "text": "x".repeat(100), "k": {} });
        let lines = lines(&long);
        assert!(lines.len() > 40, "{lines:#?}");
        assert_eq!(serde_json::from_str::<Value>(&lines.join("\n")).unwrap(), long);
    }
}
