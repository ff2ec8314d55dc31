//! `constraints`: `[field, operator]` or `[field, operator, value]`.

use regex::Regex;

use crate::app::{Constraint, Operator};
use crate::reader::{Field, Object};

/// The constraints.
pub(super) fn read(object: &mut Object<'_>) -> Option<Vec<Constraint>> {
    let Some(field) = object.field("constraints") else { return Some(Vec::new()) };
    let constraints: Vec<_> = field.array()?.iter().map(read_constraint).collect();
    constraints.into_iter().collect()
}

fn read_constraint(field: &Field<'_>) -> Option<Constraint> {
    let elements = field.array()?;
    let texts: Vec<_> = elements.iter().map(Field::string).collect();
    let texts: Vec<&str> = texts.into_iter().collect::<Option<_>>()?;
    let (name, operator, value) = match texts[..] {
        [name, operator] => (name, operator, None),
        // Older clients write "" for no value.
        [name, operator, value] => (name, operator, Some(value).filter(|v| !v.is_empty())),
        _ => {
            field.refuse("Each constraint must have either 2 or 3 fields");
            return None;
        }
    };
    if name.is_empty() {
        elements[0].refuse("missing field for constraint declaration");
        return None;
    }
    let Some(operator) = Operator::parse(operator) else {
        elements[1].refuse(
            "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS",
        );
        return None;
    };
    if let Err(error) = check_value(operator, value) {
        elements.get(2).unwrap_or(field).refuse(error);
        return None;
    }
    Some(Constraint { field: name.into(), operator, value: value.map(str::to_owned) })
}

fn check_value(operator: Operator, value: Option<&str>) -> Result<(), String> {
    let is_count = |text: &str| text.parse::<u32>().is_ok_and(|count| count > 0);
    match (operator, value) {
        (Operator::Unique, Some(_)) => Err("UNIQUE does not accept a value".into()),
        (Operator::GroupBy, Some(text)) if !is_count(text) => {
            Err("GROUP_BY must define a positive integer value or else no value at all".into())
        }
        (Operator::MaxPer, value) if !value.is_some_and(is_count) => {
            Err("MAX_PER requires a positive integer value".into())
        }
        (Operator::Like | Operator::Unlike, None) => {
            Err("LIKE and UNLIKE require a non-empty, regular expression value".into())
        }
        (Operator::Like | Operator::Unlike, Some(pattern)) => Regex::new(pattern)
            .map(drop)
            .map_err(|e| format!("is not a valid regular expression: {e}")),
        (Operator::Is, value) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
            if value.unwrap_or_default().chars().all(plain) {
                Ok(())
            } else {
                Err("IS only supports text and numbers: letters, digits and _/.-".into())
            }
        }
        _ => Ok(()),
    }
}
