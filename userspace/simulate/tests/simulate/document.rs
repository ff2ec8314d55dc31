//! `docs/simulate.md` is true.

use muster_simulate::Simulator;

use super::{path, read};

fn document() -> String {
    read(&path("../../docs/simulate.md"))
}

/// The words between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// Every example is a simulation of its own; `>` is a command, `<` its answer, and `!` an error,
/// which ends a simulation.
#[test]
fn every_example_is_true() {
    let document = document();
    let mut examples = 0;
    for example in document.split("```\n").skip(1).step_by(2) {
        let mut simulator = Simulator::new();
        let mut last = None;
        for line in example.lines() {
            let (mark, text) = line.split_at(2);
            match mark {
                "> " => {
                    assert!(last.is_none(), "no answer before {line}");
                    last = Some(simulator.line(text));
                    examples += 1;
                }
                "< " => assert_eq!(last.take().unwrap().unwrap().unwrap(), text),
                "! " => {
                    assert_eq!(last.take().unwrap().unwrap_err().to_string(), text);
                    simulator = Simulator::new();
                }
                _ => panic!("{line}"),
            }
        }
        assert!(last.is_none(), "no answer at the end of {example}");
    }
    assert!(examples > 50, "{examples}");
}

/// Every command has a section of its own, which names all of its fields.
#[test]
fn every_field_is_documented() {
    let document = document();
    let message = Simulator::new().line(r#"{"?":{}}"#).unwrap_err().problem.to_string();
    let commands = quoted(&message).split_off(1);
    assert!(commands.contains(&"add_agent".to_owned()), "{message}");
    for command in commands {
        let section = document
            .split("\n##")
            .find(|section| section.starts_with(&format!("# `{command}`\n")))
            .unwrap_or_else(|| panic!("{command} is not documented"));
        let line = format!(r#"{{"{command}":{{"?":0}}}}"#);
        let message = Simulator::new().line(&line).unwrap_err().problem.to_string();
        assert!(message.contains("unknown field `?`"), "{message}");
        for field in quoted(&message).split_off(1) {
            assert!(section.contains(&format!("`{field}`")), "{command}.{field} is not documented");
        }
        assert!(document.contains(&format!("> {{\"{command}\":")), "{command} has no example");
    }
}

#[test]
fn every_operation_is_documented() {
    let line = r#"{"operation":{"framework":"f","agent":"a","role":"r","op":{"?":0}}}"#;
    let message = Simulator::new().line(line).unwrap_err().problem.to_string();
    let document = document();
    let operations = quoted(&message).split_off(1);
    assert!(operations.contains(&"reserve".to_owned()), "{message}");
    for operation in operations {
        assert!(document.contains(&format!("| `{operation}` |")), "{operation}");
    }
}
