//! Resources from text.

use std::collections::BTreeMap;

use crate::{Details, Error, Name, Problem, Reservation, Resource, Resources, Scalar, Value, role};

impl Resources {
    /// Reads what an agent can be configured with:
    /// `cpus:4;mem(role):512;ports:[31000-31999, 32500-32999];disks:{sda1, sdb1}`, names
    /// with a value each, separated by semicolons, where a role in parentheses is a static
    /// reservation; or a JSON array of Mesos' messages.
    ///
    /// # Errors
    /// Anything else, negative amounts, amounts that round to nothing, one name with values
    /// of different types, and what only operations make: dynamic reservations, persistent
    /// volumes and revocable resources. The place is the part of the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_for(text, "*")
    }

    /// The same, with a role for what names none; `*` is unreserved.
    ///
    /// # Errors
    /// Those of [`Resources::parse`].
    pub fn parse_for(text: &str, default_role: &str) -> Result<Self, Error> {
        if text.trim_start().starts_with(['[', '{']) {
            let resources = Self::from_json_for(text, default_role)?;
            check_configurable(&resources)?;
            return Ok(resources);
        }
        let mut resources = Self::default();
        let mut kinds: BTreeMap<Name, u8> = BTreeMap::new();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let resource = parse_one(part, default_role)
                .map_err(|problem| problem.at(format!("{:?}", part.trim())))?;
            let kind = resource.value().kind();
            if *kinds.entry(resource.name().clone()).or_insert(kind) != kind {
                let name = resource.name().as_str().to_owned();
                return Err(Problem::MixedTypes(name).at(format!("{:?}", part.trim())));
            }
            resources.add(resource);
        }
        Ok(resources)
    }
}

fn parse_one(part: &str, default_role: &str) -> Result<Resource, Problem> {
    let (key, text) = part.split_once(':').ok_or(Problem::Colon)?;
    if text.contains(':') {
        return Err(Problem::Colon);
    }
    let (name, role) = match key.split_once('(') {
        None if key.contains(')') => return Err(Problem::Parentheses),
        None => (key.trim(), default_role),
        Some((name, rest)) => {
            let (role, behind) = rest.split_once(')').ok_or(Problem::Parentheses)?;
            if !behind.trim().is_empty() || name.contains(')') {
                return Err(Problem::Parentheses);
            }
            (name.trim(), role.trim())
        }
    };
    if name.is_empty() {
        return Err(Problem::NoName);
    }
    role::validate(role)?;
    let text = text.trim();
    let value = Value::parse(text)?.ok_or_else(|| Problem::Value(text.to_owned()))?;
    if let Value::Scalar(amount) = value {
        check_amount(amount, text)?;
    }
    let mut details = Details::default();
    if role != "*" {
        details.reservations.push(Reservation::fixed(role));
    }
    Ok(Resource::new(name, value).with_details(details))
}

/// Refuses what is negative, and what is something but rounds to nothing.
fn check_amount(amount: Scalar, text: &str) -> Result<(), Problem> {
    if amount < Scalar::ZERO {
        return Err(Problem::Negative(text.to_owned()));
    }
    // Bytes of a text that can only be a number: any digit but 0 in front of an exponent.
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    if amount.is_zero() && mantissa.contains(|c: char| ('1'..='9').contains(&c)) {
        return Err(Problem::TooSmall(text.to_owned()));
    }
    Ok(())
}

/// Refuses what cannot be configured.
fn check_configurable(resources: &Resources) -> Result<(), Error> {
    let mut kinds: BTreeMap<&Name, u8> = BTreeMap::new();
    for resource in resources {
        let at = |problem: Problem| Err(problem.at(format!("\"{resource:#}\"")));
        if resource.is_persistent_volume() {
            return at(Problem::NotConfigurable("a persistent volume"));
        }
        if resource.is_revocable() {
            return at(Problem::NotConfigurable("a revocable resource"));
        }
        if resource.is_dynamically_reserved() {
            return at(Problem::NotConfigurable("a dynamic reservation"));
        }
        let kind = resource.value().kind();
        if *kinds.entry(resource.name()).or_insert(kind) != kind {
            return at(Problem::MixedTypes(resource.name().as_str().to_owned()));
        }
    }
    Ok(())
}
