//! Constraints, as Marathon decides them.

use std::collections::BTreeMap;

use regex::Regex;

use crate::app::{Constraint, Operator};
use crate::instance::Agent;
use crate::offer::decimal;

/// Whether another instance may go to `agent`, with one on each of `placed` so far.
pub fn allows(constraint: &Constraint, agent: &Agent, placed: &[&Agent]) -> bool {
    let Some(offered) = agent.field(&constraint.field) else {
        return constraint.operator == Operator::Unlike;
    };
    let value = constraint.value.as_deref().unwrap_or_default();
    let mut taken = placed.iter().map(|agent| agent.field(&constraint.field));
    match constraint.operator {
        Operator::Unique => taken.all(|other| other != Some(offered)),
        Operator::Cluster if value.is_empty() => {
            taken.next().is_none_or(|first| first == Some(offered))
        }
        Operator::Cluster => offered == value,
        Operator::Like => matches(value, offered),
        Operator::Unlike => !matches(value, offered),
        Operator::Is => offered == normal(value),
        Operator::MaxPer => {
            let most = value.parse().unwrap_or(usize::MAX);
            taken.filter(|other| *other == Some(offered)).count() < most
        }
        Operator::GroupBy => {
            let least = value.parse().unwrap_or(0);
            is_smallest_group(offered, taken, least)
        }
    }
}

/// Whether the whole of `text` matches: the pattern was checked when it came in.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
}

/// Numbers are compared as attributes write them.
fn normal(value: &str) -> String {
    let digits = value.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match value.parse::<f64>() {
        Ok(number) if digits => decimal(number),
        _ => value.to_owned(),
    }
}

/// `GROUP_BY`: a value that has no instance yet, or else one that has the fewest; but
/// while there are not `least` values yet, only new ones. Which values there are comes to
/// light by their offers.
fn is_smallest_group<'a>(
    offered: &'a str,
    taken: impl Iterator<Item = Option<&'a str>>,
    least: usize,
) -> bool {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for value in taken {
        *counts.entry(value).or_default() += 1;
    }
    counts
        .get(&Some(offered))
        .is_none_or(|count| counts.len() >= least && counts.values().min() == Some(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(host: &str, rack: &str) -> Agent {
        Agent {
            id: host.into(),
            host: host.into(),
            address: None,
            attributes: [("rack".to_owned(), rack.to_owned())].into(),
            region: None,
            zone: Some("a".into()),
        }
    }

    fn rule(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
        Constraint { field: field.into(), operator, value: value.map(str::to_owned) }
    }

    #[test]
    fn rules_on_one_agent() {
        let here = agent("h1", "r-1.5");
        let ok = |field, operator, value| allows(&rule(field, operator, value), &here, &[]);
        assert!(ok("rack", Operator::Like, Some("r-.*")));
        assert!(!ok("rack", Operator::Like, Some("r")), "the whole value must match");
        assert!(!ok("rack", Operator::Like, Some("x|r")), "also with alternatives");
        assert!(!ok("rack", Operator::Unlike, Some("r-.*")));
        assert!(ok("gpu", Operator::Unlike, Some(".*")), "an agent without it is fine");
        assert!(!ok("gpu", Operator::Like, Some(".*")));
        assert!(ok("@zone", Operator::Is, Some("a")) && !ok("@region", Operator::Is, Some("a")));
        assert!(ok("hostname", Operator::Cluster, Some("h1")));
        assert!(!ok("@hostname", Operator::Cluster, Some("h2")));
        let numbered = agent("h1", "1.5");
        assert!(allows(&rule("rack", Operator::Is, Some("1.5000")), &numbered, &[]));
    }

    #[test]
    fn rules_between_instances() {
        let (a, b) = (agent("h1", "r1"), agent("h2", "r1"));
        let unique = rule("hostname", Operator::Unique, None);
        assert!(allows(&unique, &b, &[&a]) && !allows(&unique, &a, &[&a]));
        let cluster = rule("hostname", Operator::Cluster, None);
        assert!(allows(&cluster, &a, &[&a]) && !allows(&cluster, &b, &[&a]));
        let max = rule("rack", Operator::MaxPer, Some("2"));
        assert!(allows(&max, &a, &[&b]) && !allows(&max, &a, &[&a, &b]));
    }

    /// Which racks take instances when they are always offered in this order.
    fn fill(group: &Constraint, racks: &[Agent], count: usize) -> Vec<String> {
        let mut placed: Vec<&Agent> = Vec::new();
        for _ in 0..count {
            placed.extend(racks.iter().find(|rack| allows(group, rack, &placed)));
        }
        placed.iter().map(|agent| agent.host.clone()).collect()
    }

    #[test]
    fn groups_fill_evenly() {
        let racks = [agent("h1", "r1"), agent("h2", "r2"), agent("h3", "r3")];
        let group = rule("rack", Operator::GroupBy, None);
        assert_eq!(fill(&group, &racks, 5), ["h1", "h1", "h1", "h1", "h1"], "one is known");
        let three = rule("rack", Operator::GroupBy, Some("3"));
        assert_eq!(fill(&three, &racks, 5), ["h1", "h2", "h3", "h1", "h2"]);
        assert_eq!(fill(&three, &racks[..2], 5), ["h1", "h2"], "the third has to be seen");
        let two = rule("rack", Operator::GroupBy, Some("2"));
        assert_eq!(fill(&two, &racks, 5), ["h1", "h2", "h1", "h2", "h1"]);
    }
}
