//! Habits that no other tool checks.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use muster_harness::command;

/// Longest file, in lines.
const LINES: usize = 400;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// How many lines above an `unsafe` its reason may begin.
const REASON_WITHIN: usize = 5;

/// Marks of unfinished work, in two parts so that this list does not find itself.
const UNFINISHED: &[(&str, &str)] =
    &[("todo", "!("), ("unimplemented", "!("), ("FIX", "ME"), ("#[ig", "nore"), ("dbg", "!(")];

/// Checks every Rust file that git tracks or would track.
pub(super) fn check(root: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).current_dir(root);
    let mut complaints = Vec::new();
    for path in command::output(&mut git)?.lines() {
        let file = root.join(path);
        if !file.exists() {
            continue;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
        complaints.extend(complaints_about(path, &text));
    }
    for (path, reason) in LONG {
        if !root.join(path).exists() {
            complaints.push(format!("{path} may be long ({reason}), but is gone: strike it"));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n"))
}

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > LINES && !LONG.iter().any(|(long, _)| *long == path) {
        complaints.push(format!("{path}: {} lines, at most {LINES}: split it", lines.len()));
    }
    if path.ends_with("/mod.rs") {
        complaints.push(format!("{path}: name it after its module, beside the module's folder"));
    }
    for (index, line) in lines.iter().enumerate() {
        let place = format!("{path}:{}", index + 1);
        for (first, second) in UNFINISHED {
            if line.contains(&format!("{first}{second}")) {
                complaints.push(format!("{place}: unfinished: {first}{second}"));
            }
        }
        let above = lines.get(index.saturating_sub(REASON_WITHIN)..index).unwrap_or_default();
        if is_unsafe(line) && !above.iter().any(|line| is_reason(line)) {
            complaints.push(format!("{place}: unsafe without a SAFETY line just above"));
        }
    }
    complaints
}

fn is_unsafe(line: &str) -> bool {
    // A comment or a string that speaks of unsafe is not unsafe.
    let code = line.split("//").next().unwrap_or_default();
    let code = code.split('"').next().unwrap_or_default();
    ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|start| code.contains(start))
}

fn is_reason(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") && (line.contains("SAFETY") || line.contains("# Safety"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_and_a_mod_rs_are_found() {
        let long = "\n".repeat(LINES + 1);
        assert!(complaints_about("a/b.rs", &long)[0].contains("401 lines"));
        assert!(complaints_about("a/mod.rs", "")[0].contains("a/mod.rs"));
        assert!(complaints_about("a/b.rs", &"\n".repeat(LINES)).is_empty());
    }

    #[test]
    fn unsafe_needs_its_reason_just_above() {
        let block = "fn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(complaints_about("a.rs", block).len(), 1);
        let argued = block.replace("    unsafe", "    // SAFETY: g asks for nothing.\n    unsafe");
        assert!(complaints_about("a.rs", &argued).is_empty());
        let far =
            format!("// SAFETY: too far away.\n{}unsafe impl Send for X {{}}\n", "\n".repeat(6));
        assert_eq!(complaints_about("a.rs", &far).len(), 1);
        assert!(complaints_about("a.rs", "// an unsafe { block }\n").is_empty());
        assert!(complaints_about("a.rs", "let s = \"unsafe { }\";\n").is_empty());
    }

    #[test]
    fn unfinished_work_is_found() {
        for (first, second) in UNFINISHED {
            assert_eq!(complaints_about("a.rs", &format!("    {first}{second}\n")).len(), 1);
        }
    }
}
