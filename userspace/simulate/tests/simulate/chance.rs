//! What follows from a seed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use muster_simulate::Simulator;

use super::answers;

/// Five frameworks in three roles, twenty agents, and two cycles.
fn commands(config: &str) -> String {
    let mut commands = format!("{config}\n");
    for number in 0..20 {
        let agent = format!(r#"{{"id":"a{number}","resources":"cpus:{};mem:1024"}}"#, number + 1);
        writeln!(commands, r#"{{"add_agent":{agent}}}"#).unwrap();
    }
    for (id, role) in [("f1", "a"), ("f2", "a"), ("f3", "b"), ("f4", "b"), ("f5", "c")] {
        writeln!(commands, r#"{{"add_framework":{{"id":"{id}","roles":["{role}"]}}}}"#).unwrap();
    }
    commands + "{\"allocate\":{}}\n{\"shares\":{}}\n"
}

fn outcomes(config: impl Fn(u64) -> String) -> BTreeSet<String> {
    let mut outcomes = BTreeSet::new();
    for seed in 0..8 {
        let commands = commands(&config(seed));
        let first = answers(&mut Simulator::new(), &commands);
        let second = answers(&mut Simulator::new(), &commands);
        assert_eq!(first, second, "seed {seed}");
        outcomes.insert(first);
    }
    outcomes
}

#[test]
fn a_seed_decides() {
    let outcomes = outcomes(|seed| format!(r#"{{"config":{{"seed":{seed}}}}}"#));
    assert!(outcomes.len() > 1, "{outcomes:?}");
}

#[test]
fn a_seed_decides_what_sorters_draw() {
    let sorters = r#""role_sorter":"random","framework_sorter":"random""#;
    let outcomes = outcomes(|seed| format!(r#"{{"config":{{"seed":{seed},{sorters}}}}}"#));
    assert!(outcomes.len() > 1, "{outcomes:?}");
}

#[test]
fn the_seed_is_0_unless_said() {
    let said = answers(&mut Simulator::new(), &commands(r#"{"config":{"seed":0}}"#));
    let unsaid = answers(&mut Simulator::new(), &commands(r#"{"config":{}}"#));
    assert_eq!(said, unsaid);
}
