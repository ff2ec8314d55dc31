//! `muster simulate` as it is run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const COMMANDS: &str = r#"# The paper's example.
{"add_agent":{"id":"a1","resources":"cpus:9;mem:18432"}}
{"add_framework":{"id":"A"}}
{"add_framework":{"id":"B"}}
{"demand":{"framework":"A","task":"cpus:1;mem:4096"}}
{"demand":{"framework":"B","task":"cpus:3;mem:1024"}}
{"fill":{}}
"#;

const FILLED: &str = r#"{"tasks":{"A":3,"B":2},"shares":{"A":0.6667,"B":0.6667}}"#;

fn muster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.arg("simulate");
    command
}

fn simulate(directory: &Path, commands: impl AsRef<[u8]>, arguments: &[&str]) -> Output {
    fs::write(directory.join("case.jsonl"), commands).unwrap();
    muster().arg("case.jsonl").args(arguments).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_file_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let output = simulate(directory.path(), COMMANDS, &[]);
    assert_eq!(text(&output.stdout), format!("{}{FILLED}\n", "{}\n".repeat(5)));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// Whoever drives it through pipes has each answer before saying the next command.
#[test]
fn standard_input_is_answered_line_by_line() {
    let mut child = muster().arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut commands = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = String::new();
    for line in COMMANDS.lines().filter(|line| !line.starts_with('#')) {
        writeln!(commands, "{line}").unwrap();
        last = answers.next().unwrap().unwrap();
    }
    assert_eq!(last, FILLED);
    drop(commands);
    assert!(answers.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bad_line_ends_it_after_the_answers_before() {
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("shares.svg");
    let commands = format!("{COMMANDS}{{\"advance\":{{\"second\":1}}}}\n{{\"fill\":{{}}}}\n");
    let output = simulate(directory.path(), commands, &["--plot", "shares.svg"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().last(), Some(FILLED));
    assert_eq!(text(&output.stdout).lines().count(), 6);
    assert_eq!(
        text(&output.stderr),
        "muster simulate: case.jsonl: line 8: advance.second: unknown field `second`, expected \
         `seconds`\n"
    );
    assert!(!picture.exists());
}

#[test]
fn what_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let output = simulate(directory.path(), b"{\"fill\":{}}\n\xff\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("muster simulate: case.jsonl: line 2: "), "{error}");
    let output = muster().arg("none.jsonl").current_dir(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("muster simulate: opening none.jsonl: No such file"), "{error}");
}

#[test]
fn shares_are_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let output = simulate(directory.path(), COMMANDS, &["--plot", "shares.svg"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let picture = fs::read_to_string(directory.path().join("shares.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">B in *</text>"), "{picture}");
    let output = simulate(directory.path(), COMMANDS, &["--plot", "none/shares.svg"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.starts_with("muster simulate: writing none/shares.svg: "), "{error}");
}

/// `muster simulate FILE | head`.
#[test]
fn a_reader_may_stop_reading() {
    let mut child = muster()
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut commands = child.stdin.take().unwrap();
    writeln!(commands, "{{\"fill\":{{}}}}").unwrap();
    // It ends by itself, with more to read.
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    drop(commands);
}
