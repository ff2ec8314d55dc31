//! Each `cases/NAME.jsonl` is answered by `cases/NAME.out`, which
//! `muster simulate cases/NAME.jsonl > cases/NAME.out` writes anew.

use std::fs;
use std::path::PathBuf;

use muster_simulate::Simulator;

use super::{answers, differences, path, read};

fn cases() -> Vec<PathBuf> {
    let files = fs::read_dir(path("tests/cases")).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect();
    cases.sort();
    assert!(cases.len() >= 10, "{cases:?}");
    cases
}

#[test]
fn every_case_has_its_answers() {
    let mut wrong = Vec::new();
    for case in cases() {
        let is = answers(&mut Simulator::new(), &read(&case));
        for difference in differences(&is, &read(&case.with_extension("out"))) {
            wrong.push(format!("{}: {difference}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Noting shares on the way changes nothing, and neither does a clone that goes on.
#[test]
fn every_case_has_the_same_answers_again() {
    for case in cases() {
        let commands = read(&case);
        let first = answers(&mut Simulator::new(), &commands);
        let (start, end) = commands.split_at(commands.len() / 2);
        let middle = start.rfind('\n').map_or(0, |newline| newline + 1);
        let end = format!("{}{end}", &start[middle..]);
        let mut simulator = Simulator::new().recording();
        let mut second = answers(&mut simulator, &start[..middle]);
        let clone = answers(&mut simulator.clone(), &end);
        second += &answers(&mut simulator, &end);
        assert_eq!(first, second, "{}", case.display());
        assert!(second.ends_with(&clone), "{}", case.display());
    }
}
