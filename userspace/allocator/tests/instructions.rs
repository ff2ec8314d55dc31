//! Fixed pieces of work cost as many instructions as INSTRUCTIONS.md says, or hardly more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/INSTRUCTIONS.md");

/// Starts the line that says what the figures were counted with.
const COUNTED_WITH: &str = "Counted with: ";

/// More than so many times the recorded figure is too much, but for a few that are no matter.
const TOO_MUCH: f64 = 1.05;
const NO_MATTER: u64 = 500;

#[test]
fn no_more_instructions_than_recorded() {
    if !has_valgrind() {
        return skip("valgrind is missing: `cargo xtask setup` installs it");
    }
    let text = fs::read_to_string(RECORD).unwrap();
    let (compiler, recorded_with) = (compiler(), recorded_with(&text));
    let record = env::var_os("RECORD_INSTRUCTIONS").is_some();
    if !record && architecture(&compiler) != architecture(&recorded_with) {
        return skip(&format!("{RECORD} is of {recorded_with}, this is {compiler}"));
    }
    let program = build();
    let recorded = rows(&text);
    assert!(!recorded.is_empty(), "{RECORD} has no figures");
    let counted: Vec<(&str, u64, u64)> = recorded
        .iter()
        .map(|(work, instructions)| (*work, *instructions, count(&program, work)))
        .collect();
    if record {
        return fs::write(RECORD, renewed(&text, &compiler, &counted)).unwrap();
    }
    let mut too_much = String::new();
    for (work, recorded, counted) in counted {
        let ratio = ratio(counted, recorded);
        println!("{work}: {counted} instructions, {recorded} are on record, {ratio:.3} of them");
        if ratio > TOO_MUCH && counted > recorded + NO_MATTER {
            writeln!(too_much, "{work}: {counted} instructions instead of {recorded}").unwrap();
        }
    }
    assert!(
        too_much.is_empty(),
        "{too_much}recorded with {recorded_with}; this is {compiler}.\n\
         {RECORD} says what to do if that is not the same, or if it is worth it."
    );
}

/// Leaves the test out, except in CI, where none may be.
fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "in CI this test must run: {reason}");
    eprintln!("skipped: {reason}");
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    match version {
        Ok(status) => status.success(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("valgrind: {error}"),
    }
}

/// The compiler's version, and for what it compiles.
fn compiler() -> String {
    let text = output(Command::new("rustc").arg("-vV"));
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("rustc -vV without {name}:\n{text}")).trim().to_owned()
    };
    format!("rustc {} {}", field("release:"), field("host:"))
}

fn architecture(compiler: &str) -> Option<&str> {
    compiler.split(' ').nth(2)
}

/// The optimised program.
fn build() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--package", "muster-allocator"]);
    build.args(["--example", "allocator_bench", "--message-format", "json"]);
    let messages = output(build.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()));
    let messages = messages.lines().map(serde_json::from_str::<serde_json::Value>);
    let artifact = messages
        .map(Result::unwrap)
        .find(|message| message["target"]["name"] == "allocator_bench")
        .and_then(|message| message["executable"].as_str().map(PathBuf::from));
    artifact.expect("cargo says where the program is")
}

/// The instructions of one piece of work.
fn count(program: &Path, work: &str) -> u64 {
    let directory = env::temp_dir().join(format!("muster-instructions-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join(work);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--toggle-collect=*counted*"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(program).args(["--count", work]);
    output(&mut valgrind);
    let profile = fs::read_to_string(&file).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    let count = totals.expect("a line with totals").trim().parse().unwrap();
    assert!(count > 0, "{work}: nothing was counted");
    count
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn recorded_with(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(COUNTED_WITH));
    line.expect("what the figures were counted with").to_owned()
}

/// The name and figure of each line of the table.
fn rows(text: &str) -> Vec<(&str, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (work, figure) = (cells.next()?, cells.next()?.replace(',', ""));
            Some((work, figure.parse().ok()?))
        })
        .collect()
}

/// The text with other figures.
fn renewed(text: &str, compiler: &str, counted: &[(&str, u64, u64)]) -> String {
    let mut renewed = String::new();
    for line in text.lines() {
        let own = |(work, ..): &&(&str, u64, u64)| line.starts_with(&format!("| {work} | "));
        let line = match counted.iter().find(own) {
            Some((work, _, counted)) => {
                let rest = line.splitn(3, " | ").nth(2).unwrap_or_default();
                format!("| {work} | {} | {rest}", grouped(*counted))
            }
            None if line.starts_with(COUNTED_WITH) => format!("{COUNTED_WITH}{compiler}"),
            None => line.to_owned(),
        };
        renewed.push_str(&line);
        renewed.push('\n');
    }
    renewed
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[expect(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio(counted: u64, recorded: u64) -> f64 {
    counted as f64 / recorded as f64
}

#[test]
fn a_record_is_renewed_line_by_line() {
    let text = "Counted with: rustc 1 a\n| work | n | what |\n|---|---|---|\n| b | 1,000 | x |\n";
    assert_eq!(rows(text), [("b", 1000)]);
    assert_eq!(
        renewed(text, "rustc 2 a", &[("b", 1000, 1_234_567)]),
        "Counted with: rustc 2 a\n| work | n | what |\n|---|---|---|\n| b | 1,234,567 | x |\n"
    );
}
