//! Which agents frameworks want offers of.

use muster_allocator::{AgentOptions, ConstraintLimits, Error, OfferConstraints};
use muster_api::mesos::scheduler::attribute_constraint::predicate::{
    self, Predicate as Says, TextEquals, TextMatches, TextNotEquals, TextNotMatches,
};
use muster_api::mesos::scheduler::attribute_constraint::selector::Selector as Choice;
use muster_api::mesos::scheduler::attribute_constraint::{Predicate, Selector};
use muster_api::mesos::scheduler::offer_constraints::RoleConstraints;
use muster_api::mesos::scheduler::offer_constraints::role_constraints::Group;
use muster_api::mesos::scheduler::{self, AttributeConstraint};
use muster_api::mesos::{Attribute, value};
use muster_resources::Value;

/// What an attribute of this name has to be like.
type Statement = (&'static str, Says);

fn exists() -> Says {
    Says::Exists(predicate::Exists {})
}

fn not_exists() -> Says {
    Says::NotExists(predicate::NotExists {})
}

fn matches(regex: &str) -> Says {
    Says::TextMatches(TextMatches { regex: regex.to_owned() })
}

fn not_matches(regex: &str) -> Says {
    Says::TextNotMatches(TextNotMatches { regex: regex.to_owned() })
}

fn group(statements: Vec<Statement>) -> Group {
    let constraint = |(name, says): Statement| AttributeConstraint {
        selector: Selector { selector: Some(Choice::AttributeName(name.to_owned())) },
        predicate: Predicate { predicate: Some(says) },
    };
    Group { attribute_constraints: statements.into_iter().map(constraint).collect() }
}

/// Constraints by role, which may cost 4 KiB and 100 states for each regular expression.
fn read(roles: Vec<(&str, Vec<Group>)>) -> Result<OfferConstraints, Error> {
    let role_constraints = roles
        .into_iter()
        .map(|(role, groups)| (role.to_owned(), RoleConstraints { groups }))
        .collect();
    let message = scheduler::OfferConstraints { role_constraints };
    OfferConstraints::from_proto(
        &message,
        ConstraintLimits { max_program_size: 100, max_mem: 4096 },
    )
}

/// One constraint of `roleA`.
fn only(name: &'static str, says: Says) -> OfferConstraints {
    read(vec![("roleA", vec![group(vec![(name, says)])])]).unwrap()
}

/// An agent with attributes from text: `foo:text;bar:1.5;baz:[1-2]`.
fn agent(text: &str) -> AgentOptions {
    let attribute = |pair: &str| {
        let (name, text) = pair.split_once(':').unwrap();
        let mut attribute = Attribute { name: name.to_owned(), ..Attribute::default() };
        match Value::parse(text).unwrap() {
            Some(Value::Scalar(scalar)) => {
                attribute.set_type(value::Type::Scalar);
                attribute.scalar = Some(value::Scalar { value: scalar.as_f64() });
            }
            Some(Value::Ranges(ranges)) => {
                attribute.set_type(value::Type::Ranges);
                let range = |range: &muster_resources::Range| value::Range {
                    begin: range.begin,
                    end: range.end,
                };
                let range = ranges.as_slice().iter().map(range).collect();
                attribute.ranges = Some(value::Ranges { range });
            }
            Some(Value::Set(_)) => panic!("there are no sets among attributes"),
            None => {
                attribute.set_type(value::Type::Text);
                attribute.text = Some(value::Text { value: text.to_owned() });
            }
        }
        attribute
    };
    let attributes = text.split_terminator(';').map(attribute).collect();
    AgentOptions { attributes, ..AgentOptions::default() }
}

/// Which agents are not offered to a role.
fn check(constraints: &OfferConstraints, role: &str, agents: &[(&str, bool)]) {
    for (attributes, excluded) in agents {
        assert_eq!(constraints.excludes(role, &agent(attributes)), *excluded, "{attributes}");
    }
}

#[test]
fn named_attribute_exists() {
    let agents = [("bar:123", false), ("foo:123", true), ("foo:123;bar:456", false)];
    check(&only("bar", exists()), "roleA", &agents);
}

#[test]
fn named_attribute_not_exists() {
    let agents = [("bar:123", true), ("foo:123", false), ("foo:123;bar:456", true)];
    check(&only("bar", not_exists()), "roleA", &agents);
}

#[test]
fn named_attribute_text_equals() {
    let constraints = only("bar", Says::TextEquals(TextEquals { value: "baz".to_owned() }));
    let agents = [
        ("bar:baz", false),
        ("bar:123", false),
        ("bar:[1-17]", false),
        ("bar:zab", true),
        ("foo:baz", true),
    ];
    check(&constraints, "roleA", &agents);
}

#[test]
fn named_attribute_text_not_equals() {
    let constraints = only("bar", Says::TextNotEquals(TextNotEquals { value: "baz".to_owned() }));
    let agents = [
        ("bar:baz", true),
        ("bar:123", false),
        ("bar:[1-17]", false),
        ("bar:zab", false),
        ("foo:baz", false),
    ];
    check(&constraints, "roleA", &agents);
}

#[test]
fn two_attributes_with_the_same_name() {
    let constraints = only("bar", Says::TextEquals(TextEquals { value: "baz".to_owned() }));
    let agents = [
        ("bar:baz;bar:foo", false),
        ("bar:123;bar:foo", false),
        ("bar:foo;bar:baz", true),
        ("bar:foo;bar:123", true),
    ];
    check(&constraints, "roleA", &agents);
}

#[test]
fn named_attribute_text_matches() {
    let agents = [
        ("bar:abcd", false),
        ("bar:123", false),
        ("bar:[1-17]", false),
        ("bar:bcde", true),
        ("foo:abcd", true),
    ];
    check(&only("bar", matches("[a-d]+")), "roleA", &agents);
}

#[test]
fn named_attribute_text_not_matches() {
    let agents = [
        ("bar:abcd", true),
        ("bar:123", false),
        ("bar:[1-17]", false),
        ("bar:bcde", false),
        ("foo:abcd", false),
    ];
    check(&only("bar", not_matches("[a-d]+")), "roleA", &agents);
}

/// Why one constraint of `roleA` is refused.
fn refusal(says: Says) -> String {
    let read = read(vec![("roleA", vec![group(vec![("bar", says)])])]);
    let Err(error @ Error::Constraint { .. }) = read else { panic!("{read:?}") };
    error.to_string()
}

#[test]
fn invalid_text_matches() {
    assert!(refusal(matches("[a-d")).contains("is wrong"));
}

#[test]
fn invalid_text_not_matches() {
    assert!(refusal(not_matches("[a-d")).contains("is wrong"));
}

#[test]
fn regex_too_complex() {
    check(&only("bar", not_matches("(a+){10}")), "roleA", &[("bar:aaaaaaaaaa", true)]);
    // The first has too many states, the second does not fit into memory.
    for (regex, why) in [("(a+){50}", "states"), ("(a+){500}", "bytes")] {
        let refusal = refusal(not_matches(regex));
        assert!(refusal.contains("too complex") && refusal.contains(why), "{refusal}");
    }
}

#[test]
fn two_constraints_in_group() {
    let both = group(vec![("foo", exists()), ("bar", not_exists())]);
    let agents = [
        ("", true),
        ("foo:123", false),
        ("bar:456", true),
        ("bar:123;foo:456", true),
        ("baz:123;foo:456", false),
    ];
    check(&read(vec![("roleA", vec![both])]).unwrap(), "roleA", &agents);
}

#[test]
fn two_groups() {
    let groups = vec![group(vec![("foo", exists())]), group(vec![("bar", not_exists())])];
    let agents = [("", false), ("baz:123", false), ("bar:123", true), ("bar:123;foo:456", false)];
    check(&read(vec![("roleA", groups)]).unwrap(), "roleA", &agents);
}

#[test]
fn two_roles() {
    let constraints = read(vec![
        ("roleA", vec![group(vec![("foo", exists())])]),
        ("roleB", vec![group(vec![("bar", exists())])]),
    ])
    .unwrap();
    check(&constraints, "roleA", &[("bar:123", true), ("foo:123", false)]);
    check(&constraints, "roleB", &[("bar:123", false), ("foo:123", true)]);
}

#[test]
fn default_offer_constraints() {
    check(&read(Vec::new()).unwrap(), "role", &[("", false)]);
}
