//! Each line of `refused/refused.jsonl`, after those of `refused/before.jsonl`, is refused as
//! `refused/refused.out` says, and nothing changes by it.

use std::fmt::Write as _;

use muster_simulate::Simulator;

use super::{answers, differences, path, read};

fn before() -> Simulator {
    let mut simulator = Simulator::new();
    answers(&mut simulator, &read(&path("tests/refused/before.jsonl")));
    simulator
}

/// Whatever can be seen of a simulator.
fn traces(mut simulator: Simulator) -> String {
    let commands = r#"
        {"shares":{}}
        {"maintenance":{"agent":"a2","start":5}}
        {"allocate":{}}
        {"decline":{"framework":"f1","agent":"a1","role":"a","refuse_seconds":0}}
        {"decline_inverse":{"framework":"f1","agent":"a1","refuse_seconds":0}}
        {"release":{"framework":"f1","agent":"a1","role":"a","resources":"cpus:1;mem:1024"}}
        {"allocate":{}}
        {"shares":{}}
        {"fill":{}}
    "#;
    answers(&mut simulator, commands)
}

#[test]
fn every_line_is_refused_and_changes_nothing() {
    let before = before();
    let commands = read(&path("tests/refused/refused.jsonl"));
    let mut is = String::new();
    let number = read(&path("tests/refused/before.jsonl")).lines().count() + 1;
    for line in commands.lines().filter(|line| !line.starts_with('#')) {
        let mut simulator = before.clone();
        let error = simulator.line(line).expect_err(line);
        assert_eq!(error.line, number as u64);
        writeln!(is, "{error}").unwrap();
        assert_eq!(traces(simulator), traces(before.clone()), "{line}");
    }
    let wrong = differences(&is, &read(&path("tests/refused/refused.out")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn empty_lines_and_comments_count_as_lines() {
    let mut simulator = Simulator::new();
    assert_eq!(simulator.line("").unwrap(), None);
    assert_eq!(simulator.line("  # a comment").unwrap(), None);
    assert_eq!(
        simulator.line("\t{\"fill\":{}}\r").unwrap().unwrap(),
        r#"{"tasks":{},"shares":{}}"#
    );
    let error = simulator.line("{").unwrap_err();
    assert_eq!(error.to_string(), "line 4: column 1: EOF while parsing an object");
}

#[test]
fn time_ends() {
    let mut simulator = Simulator::new();
    simulator.line(r#"{"advance":{"seconds":1.8e19}}"#).unwrap();
    let error = simulator.line(r#"{"advance":{"seconds":1.8e19}}"#).unwrap_err();
    assert_eq!(error.to_string(), "line 2: advance.seconds: this is further than time goes");
}

/// What a framework cannot be given is found out when it is filled for.
#[test]
fn a_task_takes_something() {
    let mut simulator = before();
    simulator.line(r#"{"demand":{"framework":"f1","task":""}}"#).unwrap();
    let error = simulator.line(r#"{"fill":{}}"#).unwrap_err();
    assert!(
        error.to_string().starts_with("line 8: fill.task: a task of framework \"f1\""),
        "{error}"
    );
}
