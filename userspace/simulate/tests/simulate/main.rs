//! Files of commands, and the answers to them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod cases;
mod chance;
mod document;
mod picture;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};

use muster_simulate::Simulator;

/// A file of this crate.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The answers of a simulator that is told all of a file.
fn answers(simulator: &mut Simulator, commands: &str) -> String {
    let mut answers = String::new();
    for line in commands.lines() {
        if let Some(answer) = simulator.line(line).unwrap() {
            answers += &answer;
            answers.push('\n');
        }
    }
    answers
}

/// Lines that differ, each as it is and as it should be.
fn differences(is: &str, should_be: &str) -> Vec<String> {
    let (is, should_be): (Vec<&str>, Vec<&str>) =
        (is.lines().collect(), should_be.lines().collect());
    let line = |lines: &[&str], index: usize| (*lines.get(index).unwrap_or(&"nothing")).to_owned();
    (0..is.len().max(should_be.len()))
        .filter(|index| is.get(*index) != should_be.get(*index))
        .map(|index| {
            let (is, should_be) = (line(&is, index), line(&should_be, index));
            format!("line {}\n  is        {is}\n  should be {should_be}", index + 1)
        })
        .collect()
}
