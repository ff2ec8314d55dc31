//! One constraint on one text of an agent: a pattern, and after the first line feed the text.

use muster_allocator::{AgentOptions, ConstraintLimits, OfferConstraints};
use muster_api::mesos::scheduler::attribute_constraint::predicate::{self, Predicate as Says};
use muster_api::mesos::scheduler::attribute_constraint::selector::{
    PseudoattributeType, Selector as Choice,
};
use muster_api::mesos::scheduler::attribute_constraint::{Predicate, Selector};
use muster_api::mesos::scheduler::offer_constraints::RoleConstraints;
use muster_api::mesos::scheduler::offer_constraints::role_constraints::Group;
use muster_api::mesos::scheduler::{self, AttributeConstraint};
use regex::bytes::RegexBuilder;

/// Longest text, for which another engine may be as slow as it likes.
const LONGEST: usize = 1000;

pub(crate) fn run(input: &[u8]) {
    let Ok(input) = str::from_utf8(input) else { return };
    let (pattern, text) = input.split_once('\n').unwrap_or((input, ""));
    let (pattern, text) = (pattern.to_owned(), &text[..text.floor_char_boundary(LONGEST)]);
    let value = pattern.clone();
    let equals = holds(Says::TextEquals(predicate::TextEquals { value: value.clone() }), text);
    assert_eq!(equals, Some(text == pattern));
    let differs = holds(Says::TextNotEquals(predicate::TextNotEquals { value }), text);
    assert_eq!(differs, Some(text != pattern));
    let regex = pattern.clone();
    let matches = holds(Says::TextMatches(predicate::TextMatches { regex: regex.clone() }), text);
    let not = holds(Says::TextNotMatches(predicate::TextNotMatches { regex }), text);
    assert_eq!(not, matches.map(|matches| !matches));
    let Some(matches) = matches else { return };
    // Other engines see it the same way. By itself first, as it must not leave its group.
    let engine = |pattern: &str| RegexBuilder::new(pattern).unicode(false).build();
    assert!(engine(&pattern).is_ok(), "{pattern:?} is no regular expression");
    if let Ok(other) = engine(&format!("\\A(?:{pattern})\\z")) {
        assert_eq!(matches, other.is_match(text.as_bytes()), "{pattern:?} on {text:?}");
    }
}

/// Whether an agent with this hostname is offered; `None` if the constraint is refused.
fn holds(says: Says, hostname: &str) -> Option<bool> {
    let hostname_of = Choice::PseudoattributeType(PseudoattributeType::Hostname.into());
    let constraint = AttributeConstraint {
        selector: Selector { selector: Some(hostname_of) },
        predicate: Predicate { predicate: Some(says) },
    };
    let group = Group { attribute_constraints: vec![constraint] };
    let role_constraints = [("role".to_owned(), RoleConstraints { groups: vec![group] })].into();
    let message = scheduler::OfferConstraints { role_constraints };
    let constraints = OfferConstraints::from_proto(&message, ConstraintLimits::default()).ok()?;
    let agent = AgentOptions { hostname: hostname.to_owned(), ..AgentOptions::default() };
    Some(!constraints.excludes("role", &agent))
}
